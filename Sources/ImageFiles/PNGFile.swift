// PNG: chunks from IHDR to IEND (W3C, Portable Network Graphics, third edition, chapters 5 and 11).

/// What a PNG file holds of its image, or of its animation.
public struct PNGFile: Sendable {
  static let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

  /// A frame of an animation, as its fcTL chunk has it (section 11.3.6.2).
  public struct Frame: Sendable {
    public fileprivate(set) var width: Int
    public fileprivate(set) var height: Int
    public fileprivate(set) var left: Int
    public fileprivate(set) var top: Int
    /// How long it is shown, in milliseconds.
    public fileprivate(set) var milliseconds: Int
    public fileprivate(set) var disposal: Disposal
    /// Whether it is painted over the frame before, and not in its place.
    public fileprivate(set) var isBlended: Bool
    /// Its compressed pixels.
    fileprivate var data: [ArraySlice<UInt8>] = []
  }

  /// What becomes of a frame's place before the next one is painted.
  public enum Disposal: UInt8, Sendable {
    case keep, clear, restore
  }

  public private(set) var width = 0
  public private(set) var height = 0
  public private(set) var orientation = Orientation.topLeft
  /// In the order in which they are shown; none for an image that does not move.
  public private(set) var frames: [Frame] = []
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
    // nil where there is no animation, or a wrong one.
    var frames: [Frame]?
    var isAnimated = false
    var dataFrame: Int?
    while !walk.isAtEnd {
      let start = walk.place
      // A file may lack its last chunk, or end in it.
      guard let (kind, content) = try? Self.chunk(&walk) else {
        guard !data.isEmpty else { throw .broken }
        if walk.rest.dropFirst(4).starts(with: "IDAT".utf8) || walk.rest.dropFirst(4).starts(with: "fdAT".utf8) { throw .broken }
        break
      }
      if header.isEmpty {
        guard kind == "IHDR", content.count == 13 else { throw .broken }
        header = content
        var size = ByteWalk(content)
        (width, height) = (try size.bigEndian(4), try size.bigEndian(4))
        continue
      }
      switch kind {
      case "IEND":
        finish(frames)
        return
      case "IDAT":
        data.append(content)
        if let dataFrame { frames?[dataFrame].data.append(content) }
      case "PLTE": if data.isEmpty { palette = content }
      case "tRNS": if data.isEmpty { transparency = content }
      case "cHRM", "gAMA", "sRGB", "iCCP", "cICP": if data.isEmpty { meanings.append(walk.passed(since: start)) }
      case "eXIf": if data.isEmpty { orientation = Orientation(exif: content) }
      case "acTL":
        guard data.isEmpty, !isAnimated, content.count == 8 else { break }
        isAnimated = true
        plays = content.suffix(4).reduce(0) { $0 << 8 | Int($1) }
        frames = []
      case "fcTL":
        guard frames != nil else { break }
        guard let frame = try? Self.frame(content), frame.left + frame.width <= width, frame.top + frame.height <= height else {
          // An animation that is wrong is none, for browsers too.
          frames = nil
          dataFrame = nil
          break
        }
        if data.isEmpty { dataFrame = 0 } else { dataFrame = nil }
        frames?.append(frame)
      case "fdAT": if let last = frames?.indices.last, content.count > 4 { frames?[last].data.append(content.dropFirst(4)) }
      default: break
      }
    }
    guard !data.isEmpty else { throw .broken }
    finish(frames)
  }

  private mutating func finish(_ frames: [Frame]?) {
    self.frames = (frames ?? []).filter { !$0.data.isEmpty }
  }

  private static func chunk(_ walk: inout ByteWalk) throws(ImageError) -> (kind: String, content: ArraySlice<UInt8>) {
    var ahead = walk
    let length = try ahead.bigEndian(4)
    let kind = String(decoding: try ahead.take(4), as: UTF8.self)
    let content = try ahead.take(length)
    try ahead.skip(4)
    walk = ahead
    return (kind, content)
  }

  private static func frame(_ content: ArraySlice<UInt8>) throws(ImageError) -> Frame {
    var walk = ByteWalk(content)
    try walk.skip(4)
    let (width, height) = (try walk.bigEndian(4), try walk.bigEndian(4))
    let (left, top) = (try walk.bigEndian(4), try walk.bigEndian(4))
    let (numerator, denominator) = (try walk.bigEndian(2), try walk.bigEndian(2))
    guard width > 0, height > 0, let disposal = Disposal(rawValue: try walk.byte()) else { throw .broken }
    return Frame(
      width: width, height: height, left: left, top: top, milliseconds: numerator * 1000 / (denominator == 0 ? 100 : denominator),
      disposal: disposal, isBlended: try walk.byte() == 1)
  }

  /// The image that does not move, as a file that holds nothing else.
  public var bytes: [UInt8] { file(width: width, height: height, data) }

  /// One frame as a file of its own.
  public func bytes(of frame: Frame) -> [UInt8] { file(width: frame.width, height: frame.height, frame.data) }

  private func file(width: Int, height: Int, _ data: [ArraySlice<UInt8>]) -> [UInt8] {
    func bigEndian(_ number: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - $0 * 8)) } }
    func chunk(_ kind: String, _ content: some Collection<UInt8>) -> [UInt8] {
      let body = Array(kind.utf8) + content
      return bigEndian(content.count) + body + bigEndian(Int(CRC32.of(body)))
    }
    var bytes = Self.signature + chunk("IHDR", bigEndian(width) + bigEndian(height) + header.dropFirst(8))
    for whole in meanings { bytes += whole }
    // Of true colours it is a suggestion, which may be wrong.
    if header.dropFirst(9).first == 3 { bytes += chunk("PLTE", palette) }
    // Browsers pass over what is said of more colours than there are; libspng would pass over all of it.
    let colours = header.dropFirst(9).first == 3 ? palette.count / 3 : transparency.count
    if !transparency.isEmpty { bytes += chunk("tRNS", transparency.prefix(colours)) }
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
