// The kinds of images that are taken, and what their bytes say of them before anything is decoded.

/// A kind of image.
public enum ImageFormat: String, CaseIterable, Sendable {
  case jpeg = "jpg"
  case png
  case gif
  case webp

  /// The ending of its files' names.
  public var ending: String { rawValue }

  /// By the first bytes; nil for any other kind.
  init?(startOf bytes: ArraySlice<UInt8>) {
    if bytes.starts(with: [0xff, 0xd8, 0xff]) {
      self = .jpeg
    } else if bytes.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) {
      self = .png
    } else if bytes.starts(with: "GIF87a".utf8) || bytes.starts(with: "GIF89a".utf8) {
      self = .gif
    } else if bytes.starts(with: "RIFF".utf8), bytes.dropFirst(8).starts(with: "WEBP".utf8) {
      self = .webp
    } else {
      return nil
    }
  }
}

/// What is wrong with an image.
public enum ImageError: Error, Equatable, CustomStringConvertible {
  /// It is none of the kinds that are taken.
  case unknownFormat
  /// Its structure breaks off or is not that of its kind.
  case broken
  case tooManyPixels
  /// It is, or holds, something else as well.
  case polyglot
  /// Its structure is right and its content cannot be decoded within the limits.
  case undecodable
  /// It was not the image: there is no decoder, or no room on the disk.
  case unavailable(String)

  public var description: String {
    switch self {
    case .unknownFormat: "the file is not a JPEG, PNG, GIF or WebP image"
    case .broken: "the image is broken or incomplete"
    case .tooManyPixels: "the image has more than 40 megapixels"
    case .polyglot: "the file is more than an image"
    case .undecodable: "the image cannot be decoded"
    case .unavailable(let reason): reason
    }
  }
}

/// What the structure of an image's file says: enough to refuse what is no image, or too large a one, before a decoder sees it.
public struct ImageFacts: Equatable, Sendable {
  public let format: ImageFormat
  public let width: Int
  public let height: Int
  /// 1 unless it is animated.
  public let frames: Int

  /// Pixels of an image, or of one frame.
  static let pixelLimit = 40_000_000
  /// Pixels of all frames together: what a decoder and an encoder get through in some ten seconds.
  static let allPixelsLimit = 80_000_000
  static let sideLimit = 65_535

  /// Walks through the structure of the file, from its first byte to its last.
  public init(examining bytes: ArraySlice<UInt8>) throws(ImageError) {
    guard let format = ImageFormat(startOf: bytes) else { throw .unknownFormat }
    self.format = format
    var walk = ByteWalk(bytes)
    let shape: ImageShape =
      switch format {
      case .jpeg: try JPEGStructure.walk(&walk)
      case .png: try PNGStructure.walk(&walk)
      case .gif: try GIFStructure.walk(&walk)
      case .webp: try WebPStructure.walk(&walk)
      }
    width = shape.width
    height = shape.height
    frames = shape.frames
    guard width > 0, height > 0, frames > 0 else { throw .broken }
    guard width <= Self.sideLimit, height <= Self.sideLimit, width * height <= Self.pixelLimit,
      width * height <= Self.allPixelsLimit / frames
    else { throw .tooManyPixels }
    if ForeignContent.isIn(bytes) { throw .polyglot }
  }
}

struct ImageShape {
  var width: Int
  var height: Int
  var frames = 1
}

/// Reads a file's structure from front to back; whoever goes beyond the end has a broken file.
struct ByteWalk {
  private let bytes: ArraySlice<UInt8>
  private(set) var place: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    place = bytes.startIndex
  }

  var rest: ArraySlice<UInt8> { bytes[place...] }
  var isAtEnd: Bool { place == bytes.endIndex }

  mutating func skip(_ count: Int) throws(ImageError) {
    guard count >= 0, count <= bytes.endIndex - place else { throw .broken }
    place += count
  }

  mutating func take(_ count: Int) throws(ImageError) -> ArraySlice<UInt8> {
    let start = place
    try skip(count)
    return bytes[start..<place]
  }

  mutating func byte() throws(ImageError) -> UInt8 {
    guard place < bytes.endIndex else { throw .broken }
    defer { place += 1 }
    return bytes[place]
  }

  mutating func bigEndian(_ count: Int) throws(ImageError) -> Int { try take(count).reduce(0) { $0 << 8 | Int($1) } }
  mutating func littleEndian(_ count: Int) throws(ImageError) -> Int { try take(count).reversed().reduce(0) { $0 << 8 | Int($1) } }

  /// To the next byte of this value, which is not passed.
  mutating func skip(to value: UInt8) throws(ImageError) {
    guard let next = bytes[place...].firstIndex(of: value) else { throw .broken }
    place = next
  }

  /// What is left may only be zeros, as some programs fill files up with them.
  mutating func expectEnd() throws(ImageError) {
    guard rest.allSatisfy({ $0 == 0 }) else { throw .polyglot }
    place = bytes.endIndex
  }
}

/// What has no business in an image: files of this kind are an image to one program and something to run or to unpack to another.
/// Decoding and encoding would remove it, but whoever sends such a file is not sending a picture.
enum ForeignContent {
  /// In lower case, and so long that compressed data does not hold them by chance.
  private static let texts: [[UInt8]] = ["<script", "<html>", "<html ", "<?php ", "<?php\n", "<?php\r", "<!doctype ", "<iframe", "%pdf-1."]
    .map {
      Array($0.utf8)
    }

  static func isIn(_ bytes: ArraySlice<UInt8>) -> Bool {
    for place in bytes.indices where bytes[place] == UInt8(ascii: "<") || bytes[place] == UInt8(ascii: "%") {
      if texts.contains(where: { isText($0, in: bytes, at: place) }) { return true }
    }
    // A ZIP archive (and with it JAR, DOCX, …) is known by the end of its directory, which is within its last 64 KiB.
    return bytes.suffix(22 + 0xffff).indices.contains { bytes[$0] == 0x50 && isEndOfArchive(bytes[$0...], after: bytes[..<$0]) }
  }

  /// Whether `rest` begins with the record that ends a ZIP archive's directory (APPNOTE.TXT, section 4.3.16) and can be meant as one.
  /// Its first four bytes alone are found in one photograph of many thousands.
  private static func isEndOfArchive(_ rest: ArraySlice<UInt8>, after before: ArraySlice<UInt8>) -> Bool {
    guard rest.count >= 22, rest.starts(with: [0x50, 0x4b, 0x05, 0x06]) else { return false }
    // Then the numbers are elsewhere (section 4.3.15), in a record that is just before.
    if before.suffix(20).starts(with: [0x50, 0x4b, 0x06, 0x07]) { return true }
    func number(_ offset: Int, _ count: Int) -> Int {
      rest.dropFirst(offset).prefix(count).reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    let (disk, firstDisk, length, start, comment) = (number(4, 2), number(6, 2), number(12, 4), number(16, 4), number(20, 2))
    return disk == 0 && firstDisk == 0 && start + length <= before.count && comment <= rest.count - 22
  }

  private static func isText(_ text: [UInt8], in bytes: ArraySlice<UInt8>, at place: Int) -> Bool {
    guard bytes.endIndex - place >= text.count else { return false }
    for (offset, wanted) in text.enumerated() {
      let byte = bytes[place + offset]
      let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
      if lower != wanted { return false }
    }
    return true
  }
}
