// PNG: chunks from IHDR to IEND (W3C, Portable Network Graphics, third edition, chapters 5 and 11).

/// What a PNG file holds of its image, or of its animation.
public struct PNGFile: Sendable {
  static let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

  public private(set) var width = 0
  public private(set) var height = 0
  public private(set) var orientation = Orientation.topLeft
  /// In the order in which they are shown; none for an image that does not move.
  public private(set) var frames: [PNGFrame] = []
  /// How often the animation is shown; 0: without end.
  public private(set) var plays = 0

  /// IHDR's content.
  private var header: ArraySlice<UInt8> = []
  private var palette: ArraySlice<UInt8> = []
  private var transparency: ArraySlice<UInt8> = []
  /// The pixels of the image that programs without animations show.
  private var data: [ArraySlice<UInt8>] = []
  /// Whole chunks that say which colours are meant.
  private var meanings: [ArraySlice<UInt8>] = []

  init(_ walk: inout ByteWalk) throws(ImageError) {
    try walk.skip(8)
    var animation = PNGAnimation()
    while !walk.isAtEnd {
      let start = walk.place
      // A file may lack its last chunk, or end in it.
      guard let chunk = try? Chunk(&walk) else {
        try breakOff(in: walk.rest, &animation)
        break
      }
      let content = chunk.content
      if header.isEmpty {
        guard chunk.kind == "IHDR", content.count == 13 else { throw .broken }
        header = content
        var size = ByteWalk(content)
        (width, height) = (try size.bigEndian(4), try size.bigEndian(4))
        continue
      }
      if chunk.kind == "IEND" { break }
      switch chunk.kind {
      case "IDAT":
        data.append(content)
        animation.takePicture(content)
      case "fcTL": animation.take(control: chunk.isRight ? content : [], isFirst: data.isEmpty, width: width, height: height)
      case "fdAT": animation.take(data: content)
      case "PLTE": if data.isEmpty, palette.isEmpty { palette = content.prefix(content.count / 3 * 3) }
      // A checksum that is wrong is no reason to refuse pixels. All other chunks count for nothing then.
      case _ where !chunk.isRight || !data.isEmpty: break
      case "acTL": animation.take(counts: content)
      case "tRNS": if transparency.isEmpty, !hasPalette || !palette.isEmpty { transparency = content }
      case "cHRM", "gAMA", "sRGB", "iCCP", "cICP": meanings.append(walk.passed(since: start))
      case "eXIf": orientation = Orientation(exif: content)
      default: break
      }
    }
    guard !data.isEmpty else { throw .broken }
    (frames, plays) = (animation.shown, animation.plays)
  }

  /// What there is of pixels where the file ends in a chunk of them: there may be enough, which a decoder knows.
  private mutating func breakOff(in rest: ArraySlice<UInt8>, _ animation: inout PNGAnimation) throws(ImageError) {
    let (kind, content) = (rest.dropFirst(4).prefix(4), rest.dropFirst(8))
    if kind.elementsEqual("IDAT".utf8), !content.isEmpty {
      data.append(content)
      animation.takePicture(content)
    } else if kind.elementsEqual("fdAT".utf8) {
      animation.take(data: content)
    }
    guard !data.isEmpty else { throw .broken }
  }

  private struct Chunk {
    let kind: String
    let content: ArraySlice<UInt8>
    private let checksum: Int

    /// - Throws: `.broken` where it is not whole; the walk stays where it is then.
    init(_ walk: inout ByteWalk) throws(ImageError) {
      var ahead = walk
      let length = try ahead.bigEndian(4)
      kind = String(decoding: try ahead.take(4), as: UTF8.self)
      content = try ahead.take(length)
      checksum = try ahead.bigEndian(4)
      walk = ahead
    }

    var isRight: Bool { Int(CRC32.of(Array(kind.utf8) + content)) == checksum }
  }

  /// Whether its pixels are numbers of colours.
  private var hasPalette: Bool { header.dropFirst(9).first == 3 }

  /// The image that does not move, as a file that holds nothing else.
  public var bytes: [UInt8] { file(width: width, height: height, data) }

  /// One frame as a file of its own.
  public func bytes(of frame: PNGFrame) -> [UInt8] { file(width: frame.width, height: frame.height, frame.data) }

  private func file(width: Int, height: Int, _ data: [ArraySlice<UInt8>]) -> [UInt8] {
    func bigEndian(_ number: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - $0 * 8)) } }
    func chunk(_ kind: String, _ content: some Collection<UInt8>) -> [UInt8] {
      let body = Array(kind.utf8) + content
      return bigEndian(content.count) + body + bigEndian(Int(CRC32.of(body)))
    }
    var bytes = Self.signature + chunk("IHDR", bigEndian(width) + bigEndian(height) + header.dropFirst(8))
    for whole in meanings { bytes += whole }
    // Of true colours it is a suggestion, which may be wrong.
    if hasPalette {
      // Browsers show the last colour where there is none of a number, and pass over what is said of more colours than there are.
      let missing = max(0, 1 << Int(header.dropFirst(8).first ?? 8) - palette.count / 3)
      let alphas = transparency.prefix(palette.count / 3)
      let last = alphas.count == palette.count / 3 ? Array(alphas.suffix(1)) : []
      bytes += chunk("PLTE", palette + repeatElement(palette.suffix(3), count: missing).joined())
      if !alphas.isEmpty { bytes += chunk("tRNS", alphas + repeatElement(last, count: missing).joined()) }
    } else if !transparency.isEmpty {
      bytes += chunk("tRNS", transparency)
    }
    for piece in data { bytes += chunk("IDAT", piece) }
    return bytes + chunk("IEND", [])
  }

  /// The content of the first cICP chunk (section 11.3.2.6): primaries, transfer function, matrix and range.
  public var codePoints: [UInt8]? {
    meanings.first { $0.dropFirst(4).starts(with: "cICP".utf8) && $0.count == 16 }.map { Array($0.dropFirst(8).prefix(4)) }
  }
}

/// The checksum of PNG's chunks (annex D).
private enum CRC32 {
  private static let table: [UInt32] = (0..<256).map { byte in (0..<8).reduce(UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1) * 0xedb8_8320 }
  }

  static func of(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~0) { crc, byte in crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] }
  }
}
