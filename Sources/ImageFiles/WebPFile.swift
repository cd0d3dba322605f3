// WebP: chunks of a RIFF file (RFC 9649, section 2).

/// What a WebP file holds of its image or animation. How a camera was held counts for nothing: browsers show a WebP as it is stored.
public struct WebPFile: Sendable {
  public private(set) var width = 0
  public private(set) var height = 0
  /// 0 for an image that does not move.
  public private(set) var frames = 0
  /// Whether no picture in it has lost anything.
  public private(set) var isLossless = true
  /// Its ICC profile.
  public private(set) var profile: [UInt8]?
  /// From `RIFF` to the end of its last chunk.
  public private(set) var bytes: ArraySlice<UInt8> = []

  init(_ walk: inout ByteWalk) throws(ImageError) {
    let start = walk.place
    try walk.skip(4)
    let length = try walk.littleEndian(4)
    guard length >= 4 else { throw .broken }
    var chunks = ByteWalk(try walk.take(length))
    bytes = walk.passed(since: start)
    try chunks.skip(4)
    var hasCanvas = false
    var hasStill = false
    while !chunks.isAtEnd {
      let (kind, content) = try Self.chunk(&chunks)
      switch kind {
      case "VP8X":
        guard !hasCanvas else { throw .broken }
        var canvas = ByteWalk(content)
        try canvas.skip(4)
        (width, height) = (try canvas.littleEndian(3) + 1, try canvas.littleEndian(3) + 1)
        hasCanvas = true
      case "ANMF":
        frames += 1
        try takeFrame(content)
      case "VP8 ", "VP8L":
        guard !hasStill else { throw .broken }
        hasStill = true
        let size = try Self.size(kind, content)
        if !hasCanvas { (width, height) = size }
        if kind == "VP8 " { isLossless = false }
      case "ICCP": if profile == nil { profile = Array(content) }
      default: break
      }
    }
    guard hasStill != (frames > 0), hasStill || hasCanvas else { throw .broken }
  }

  private static func chunk(_ chunks: inout ByteWalk) throws(ImageError) -> (kind: String, content: ArraySlice<UInt8>) {
    let kind = String(decoding: try chunks.take(4), as: UTF8.self)
    let size = try chunks.littleEndian(4)
    let content = try chunks.take(size)
    if size % 2 == 1, !chunks.isAtEnd { try chunks.skip(1) }
    return (kind, content)
  }

  /// Section 2.7.1.1: the frame's place and time, then chunks.
  private mutating func takeFrame(_ content: ArraySlice<UInt8>) throws(ImageError) {
    var chunks = ByteWalk(content)
    try chunks.skip(16)
    while !chunks.isAtEnd {
      if try Self.chunk(&chunks).kind == "VP8 " { isLossless = false }
    }
  }

  private static func size(_ kind: String, _ content: ArraySlice<UInt8>) throws(ImageError) -> (Int, Int) {
    var walk = ByteWalk(content)
    if kind == "VP8L" {
      // RFC 9649, section 3.4.
      guard try walk.byte() == 0x2f else { throw .broken }
      let bits = try walk.littleEndian(4)
      return (bits & 0x3fff + 1, bits >> 14 & 0x3fff + 1)
    }
    // RFC 6386, section 9.1.
    try walk.skip(3)
    guard try walk.take(3).elementsEqual([0x9d, 0x01, 0x2a]) else { throw .broken }
    return (try walk.littleEndian(2) & 0x3fff, try walk.littleEndian(2) & 0x3fff)
  }
}
