// JPEG: segments that begin with a marker (ITU-T T.81, annex B).

/// What a JPEG file holds of its first image. What is between its segments and behind it is passed over, as libjpeg does.
public struct JPEGFile: Sendable {
  public private(set) var width = 0
  public private(set) var height = 0
  /// Components of a pixel: 1 is grey, 3 are colours, 4 are printing inks.
  public private(set) var components = 0
  /// Whether colours are stored as finely as brightness (4:4:4).
  public private(set) var hasFineColours = true
  public private(set) var orientation = Orientation.topLeft
  /// Whether its end (EOI) was there; some cameras leave it out.
  public private(set) var hasEnd = false

  /// The segments before the pixels that tell how to decode them, without what tells anything else.
  private var segments: [ArraySlice<UInt8>] = []
  /// From the first scan on. Here everything is left as it is: how to go on after damage is libjpeg's to decide.
  private var scans: ArraySlice<UInt8> = []
  private var profilePieces: [ArraySlice<UInt8>] = []

  init(_ walk: inout ByteWalk) throws(ImageError) {
    try walk.skip(2)
    while let marker = Self.nextMarker(&walk) {
      switch marker {
      case 0xda:
        guard width > 0 else { throw .broken }
        try takeScans(&walk)
        return
      case 0x01, 0xd0...0xd7: continue
      case 0x02...0xbf, 0xd8, 0xd9, 0xf0...0xfd: throw .broken
      default: break
      }
      let start = walk.place - 2
      let length = try walk.bigEndian(2)
      // Of a comment, or an application's segment, that is shorter than its own length libjpeg skips no more than that.
      if length < 2, marker >= 0xe0 { continue }
      guard length >= 2 else { throw .broken }
      let content = try walk.take(length - 2)
      switch marker {
      case 0xc0...0xcf where ![0xc4, 0xc8, 0xcc].contains(marker): try takeFrame(content)
      case 0xe1: takeExif(content)
      case 0xe2: takeProfile(content)
      default: break
      }
      // JFIF and Adobe's segment tell which colours the components are; all others of applications, and comments, tell nothing of that.
      switch marker {
      case 0xe1...0xed, 0xef, 0xfe: break
      default: segments.append([0xff, marker] + walk.passed(since: start).dropFirst(2))
      }
    }
    throw .broken
  }

  /// Pixels that a decoder goes through in all scans: of 40 megapixels a hundred, where encoders write some ten.
  private static let scannedPixels = 4_000_000_000

  /// To the end of the image, or of the file.
  private mutating func takeScans(_ walk: inout ByteWalk) throws(ImageError) {
    let start = walk.place
    var scanned = width * height
    while let marker = Self.nextMarker(&walk) {
      switch marker {
      case 0xd9:
        hasEnd = true
        scans = walk.passed(since: start).dropLast(2)
        return
      // Another image begins where this one has no end.
      case 0xd8:
        scans = walk.passed(since: start).dropLast(2)
        return
      // A segment between scans may hold what looks like an end: a preview in one of an application's, say.
      case 0xc0...0xcf, 0xda...0xef, 0xfe:
        if marker == 0xda { scanned += width * height }
        guard scanned <= Self.scannedPixels else { throw .broken }
        var ahead = walk
        if let length = try? ahead.bigEndian(2), length >= 2, (try? ahead.skip(length - 2)) != nil { walk = ahead }
      default: break
      }
    }
    scans = walk.passed(since: start)
  }

  /// The same image as a file that holds nothing else.
  public var bytes: [UInt8] { [0xff, 0xd8] + segments.joined() + [0xff, 0xda] + scans + [0xff, 0xd9] }

  /// Its ICC profile (ICC.1:2010, annex B.4); nil without one, or if one of its pieces is missing.
  public var profile: [UInt8]? {
    var pieces: [UInt8: ArraySlice<UInt8>] = [:]
    guard let count = profilePieces.first?.dropFirst().first, profilePieces.count == Int(count) else { return nil }
    for piece in profilePieces {
      guard let number = piece.first, (1...count).contains(number), piece.dropFirst().first == count,
        pieces.updateValue(piece.dropFirst(2), forKey: number) == nil
      else { return nil }
    }
    return (1...count).flatMap { pieces[$0] ?? [] }
  }

  /// The next marker's second byte, which is passed; nil if there is no more. FF before 00 is a byte of coded data.
  private static func nextMarker(_ walk: inout ByteWalk) -> UInt8? {
    while walk.skip(to: 0xff) {
      while walk.next == 0xff { _ = try? walk.byte() }
      guard let marker = try? walk.byte() else { return nil }
      if marker != 0 { return marker }
    }
    return nil
  }

  private mutating func takeFrame(_ content: ArraySlice<UInt8>) throws(ImageError) {
    guard width == 0, content.count >= 6 else { throw .broken }
    var frame = ByteWalk(content.dropFirst())
    height = try frame.bigEndian(2)
    width = try frame.bigEndian(2)
    components = Int(try frame.byte())
    guard width > 0, height > 0, [1, 3, 4].contains(components) else { throw .broken }
    var factors: Set<UInt8> = []
    for _ in 0..<components {
      try frame.skip(1)
      factors.insert(try frame.byte())
      try frame.skip(1)
    }
    hasFineColours = factors.count == 1
  }

  private mutating func takeExif(_ content: ArraySlice<UInt8>) {
    if content.starts(with: "Exif\0\0".utf8), orientation == .topLeft { orientation = Orientation(exif: content) }
  }

  private mutating func takeProfile(_ content: ArraySlice<UInt8>) {
    if content.starts(with: "ICC_PROFILE\0".utf8) { profilePieces.append(content.dropFirst(12)) }
  }
}
