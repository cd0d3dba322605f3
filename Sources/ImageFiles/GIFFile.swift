// GIF: blocks (the GIF89a specification).

/// What a GIF file holds.
public struct GIFFile: Sendable {
  /// Of the screen, or of the first frame where it reaches beyond it: of others browsers cut off what does.
  public private(set) var width: Int
  public private(set) var height: Int
  public private(set) var frames = 0
  /// Of all frames, with those that are not to be seen.
  private(set) var pixels = 0

  /// All that a browser looks at: the screen, frames, what is said of them, and applications' extensions.
  private var blocks: [ArraySlice<UInt8>] = []

  init(_ walk: inout ByteWalk) throws(ImageError) {
    let start = walk.place
    try walk.skip(6)
    (width, height) = (try walk.littleEndian(2), try walk.littleEndian(2))
    let flags = try walk.byte()
    try walk.skip(2)
    try Self.skipColours(flags, &walk)
    blocks.append(walk.passed(since: start))
    // What is said of the next frame.
    var control: ArraySlice<UInt8> = []
    while let kind = walk.next {
      do throws(ImageError) {
        switch kind {
        case 0x21:
          let extensionBlock = try Self.takeExtension(&walk)
          switch extensionBlock.dropFirst().first {
          case 0xf9: control = extensionBlock
          case 0xff: blocks.append(extensionBlock)
          default: break
          }
        case 0x2c:
          if let frame = try takeFrame(&walk) { blocks += [control, frame] }
          control = []
        // Some programs write zeros between blocks.
        case 0: try walk.skip(1)
        // Browsers take for the end whatever is no block, and so they do the end of the file.
        default:
          guard frames > 0 else { throw .broken }
          return
        }
      } catch {
        // Of an animation that breaks off what is whole is shown.
        guard frames > 0 else { throw error }
        return
      }
    }
    guard frames > 0 else { throw .broken }
  }

  /// An extension with its sub-blocks.
  private static func takeExtension(_ walk: inout ByteWalk) throws(ImageError) -> ArraySlice<UInt8> {
    let start = walk.place
    try walk.skip(2)
    let isEnded = try skipSubBlocks(&walk)
    return walk.passed(since: start) + (isEnded ? [] : [0])
  }

  /// - Returns: the frame with its pixels; nil for one that has none.
  private mutating func takeFrame(_ walk: inout ByteWalk) throws(ImageError) -> ArraySlice<UInt8>? {
    let start = walk.place
    try walk.skip(1)
    let (left, top) = (try walk.littleEndian(2), try walk.littleEndian(2))
    let (frameWidth, frameHeight) = (try walk.littleEndian(2), try walk.littleEndian(2))
    try Self.skipColours(try walk.byte(), &walk)
    try walk.skip(1)
    let isEnded = try Self.skipSubBlocks(&walk)
    guard frameWidth > 0, frameHeight > 0 else { return nil }
    if frames == 0 { (width, height) = (max(width, left + frameWidth), max(height, top + frameHeight)) }
    frames += 1
    pixels += frameWidth * frameHeight
    return walk.passed(since: start) + (isEnded ? [] : [0])
  }

  /// The same file, whole and without what is behind it.
  public var bytes: [UInt8] { blocks.joined() + [0x3b] }

  private static func skipColours(_ flags: UInt8, _ walk: inout ByteWalk) throws(ImageError) {
    if flags & 0x80 != 0 { try walk.skip(3 << (Int(flags & 7) + 1)) }
  }

  /// - Returns: false if the file ends in the place of the empty one that ends them.
  @discardableResult
  private static func skipSubBlocks(_ walk: inout ByteWalk) throws(ImageError) -> Bool {
    while !walk.isAtEnd {
      let length = try walk.byte()
      if length == 0 { return true }
      try walk.skip(Int(length))
    }
    return false
  }
}
