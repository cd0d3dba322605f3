// The animation of a PNG file: acTL, fcTL and fdAT (W3C, Portable Network Graphics, third edition, section 11.3.6).

/// A frame of an animation, as its fcTL chunk has it (section 11.3.6.2).
public struct PNGFrame: Sendable {
  public let width: Int
  public let height: Int
  public let left: Int
  public let top: Int
  /// How long it is shown, in milliseconds.
  public let milliseconds: Int
  public let disposal: Disposal
  /// Whether it is painted over the frame before, and not in its place.
  public let isBlended: Bool
  /// Its compressed pixels.
  fileprivate(set) var data: [ArraySlice<UInt8>] = []

  /// What becomes of a frame's place before the next one is painted.
  public enum Disposal: UInt8, Sendable {
    case keep, clear, restore
  }

  /// - Parameter content: of fcTL, behind its sequence number.
  fileprivate init(_ content: inout ByteWalk) throws(ImageError) {
    (width, height) = (try content.bigEndian(4), try content.bigEndian(4))
    (left, top) = (try content.bigEndian(4), try content.bigEndian(4))
    let (numerator, denominator) = (try content.bigEndian(2), try content.bigEndian(2))
    milliseconds = numerator * 1000 / (denominator == 0 ? 100 : denominator)
    let (disposal, blending) = (Disposal(rawValue: try content.byte()), try content.byte())
    guard width > 0, height > 0, let disposal, blending <= 1 else { throw .broken }
    self.disposal = disposal
    isBlended = blending == 1
  }
}

/// Takes the chunks of an animation in their order. Browsers end it before the first one that is wrong, and so does this.
struct PNGAnimation {
  /// How often it is shown; 0: without end.
  private(set) var plays = 0
  /// How many frames acTL says there are; nil as long as there is none.
  private var count: Int?
  private var frames: [PNGFrame] = []
  /// The sequence number of the next fcTL or fdAT (section 11.3.6.4).
  private var next = 0
  private var isOver = false
  /// Whether the picture of programs that know no animations is the first frame.
  private var isPictureFrame = false

  /// None for an image that does not move.
  var shown: [PNGFrame] { Array(frames.filter { !$0.data.isEmpty }.prefix(count ?? 0)) }

  /// - Parameter counts: the content of an acTL before all pixels.
  mutating func take(counts: ArraySlice<UInt8>) {
    var walk = ByteWalk(counts)
    guard count == nil, counts.count == 8, let frames = try? walk.bigEndian(4), let plays = try? walk.bigEndian(4),
      1...Self.highest ~= frames, plays <= Self.highest
    else { return }
    (count, self.plays) = (frames, plays)
  }

  /// PNG's numbers have 31 bits (section 7.1).
  private static let highest = 0x7fff_ffff

  /// - Parameters:
  ///   - control: the content of an fcTL.
  ///   - isFirst: whether no pixels came before it: it is that of the whole picture then.
  ///   - width, height: of the picture.
  mutating func take(control: ArraySlice<UInt8>, isFirst: Bool, width: Int, height: Int) {
    var walk = ByteWalk(control)
    guard isNext(&walk), let frame = try? PNGFrame(&walk), frame.left + frame.width <= width, frame.top + frame.height <= height,
      !isFirst || (frame.width, frame.height) == (width, height)
    else {
      isOver = true
      return
    }
    isPictureFrame = isPictureFrame || isFirst
    frames.append(frame)
  }

  /// - Parameter picture: the content of an IDAT.
  mutating func takePicture(_ picture: ArraySlice<UInt8>) {
    if isPictureFrame, !frames.isEmpty { frames[0].data.append(picture) }
  }

  /// - Parameter data: the content of an fdAT.
  mutating func take(data: ArraySlice<UInt8>) {
    var walk = ByteWalk(data)
    guard !isOver else { return }
    guard isNext(&walk), let last = frames.indices.last else {
      // The frame that it is of is not whole.
      isOver = true
      if !frames.isEmpty { frames.removeLast() }
      return
    }
    frames[last].data.append(walk.rest)
  }

  /// - Parameter content: of a chunk that begins with its sequence number.
  private mutating func isNext(_ content: inout ByteWalk) -> Bool {
    guard !isOver, (try? content.bigEndian(4)) == next else { return false }
    next += 1
    return true
  }
}
