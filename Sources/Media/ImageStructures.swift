// How the files of each kind of image are built, as far as it takes to find their size, their frames and their end.

/// JPEG: segments that begin with a marker (ITU-T T.81, annex B).
enum JPEGStructure {
  static func walk(_ walk: inout ByteWalk) throws(ImageError) -> ImageShape {
    let shape = try image(&walk)
    while !walk.isAtEnd {
      // Cameras put more behind the picture: previews and depth maps, which are JPEG files too (CIPA DC-007), the video of a motion
      // photo, notes of a vendor's. Anything else is none of a picture's.
      let rest = walk.rest
      if rest.first == 0 || rest.first == 0xff && rest.dropFirst().first == 0xff {
        if rest.dropFirst(4).starts(with: "ftyp".utf8) { break }
        try walk.skip(1)
      } else if rest.starts(with: [0xff, 0xd8, 0xff]) {
        _ = try image(&walk)
      } else if rest.suffix(4).elementsEqual("SEFT".utf8) {
        break
      } else {
        throw .polyglot
      }
    }
    return shape
  }

  private static func image(_ walk: inout ByteWalk) throws(ImageError) -> ImageShape {
    guard try walk.take(2).elementsEqual([0xff, 0xd8]) else { throw .broken }
    var shape: ImageShape?
    var hasScan = false
    while true {
      guard try walk.byte() == 0xff else { throw .broken }
      var marker = try walk.byte()
      while marker == 0xff { marker = try walk.byte() }
      switch marker {
      case 0xd9:
        guard let shape, hasScan else { throw .broken }
        return shape
      case 0x00, 0xd8: throw .broken
      case 0x01, 0xd0...0xd7: continue
      default: break
      }
      let length = try walk.bigEndian(2)
      guard length >= 2 else { throw .broken }
      let content = try walk.take(length - 2)
      switch marker {
      case 0xc0...0xcf where ![0xc4, 0xc8, 0xcc].contains(marker):
        guard shape == nil, content.count >= 6 else { throw .broken }
        var frame = ByteWalk(content.dropFirst())
        let height = try frame.bigEndian(2)
        shape = ImageShape(width: try frame.bigEndian(2), height: height)
      case 0xda:
        hasScan = true
        try skipScan(&walk)
      default: break
      }
    }
  }

  /// Coded data: within it FF stands before 00, or before a restart marker; before anything else it is the next marker.
  private static func skipScan(_ walk: inout ByteWalk) throws(ImageError) {
    while true {
      try walk.skip(to: 0xff)
      guard let next = walk.rest.dropFirst().first else { throw .broken }
      guard next == 0 || (0xd0...0xd7).contains(next) else { return }
      try walk.skip(2)
    }
  }
}

/// PNG: chunks from IHDR to IEND (ISO/IEC 15948, clause 5).
enum PNGStructure {
  static func walk(_ walk: inout ByteWalk) throws(ImageError) -> ImageShape {
    try walk.skip(8)
    var shape: ImageShape?
    while true {
      let length = try walk.bigEndian(4)
      let kind = try walk.take(4)
      let content = try walk.take(length)
      try walk.skip(4)
      if shape == nil {
        guard kind.elementsEqual("IHDR".utf8), length == 13 else { throw .broken }
        var header = ByteWalk(content)
        shape = ImageShape(width: try header.bigEndian(4), height: try header.bigEndian(4))
      } else if kind.elementsEqual("IEND".utf8) {
        break
      }
    }
    try walk.expectEnd()
    guard let shape else { throw .broken }
    return shape
  }
}

/// GIF: blocks (the GIF89a specification).
enum GIFStructure {
  static func walk(_ walk: inout ByteWalk) throws(ImageError) -> ImageShape {
    try walk.skip(6)
    var shape = ImageShape(width: try walk.littleEndian(2), height: try walk.littleEndian(2), frames: 0)
    let flags = try walk.byte()
    try walk.skip(2)
    try skipColours(flags, &walk)
    while true {
      switch try walk.byte() {
      case 0x21:
        try walk.skip(1)
        try skipSubBlocks(&walk)
      case 0x2c:
        let (left, top) = (try walk.littleEndian(2), try walk.littleEndian(2))
        // A frame that reaches beyond the screen makes some decoders take a larger screen.
        shape.width = max(shape.width, left + (try walk.littleEndian(2)))
        shape.height = max(shape.height, top + (try walk.littleEndian(2)))
        shape.frames += 1
        try skipColours(try walk.byte(), &walk)
        try walk.skip(1)
        try skipSubBlocks(&walk)
      case 0x3b:
        try walk.expectEnd()
        return shape
      default: throw .broken
      }
    }
  }

  private static func skipColours(_ flags: UInt8, _ walk: inout ByteWalk) throws(ImageError) {
    if flags & 0x80 != 0 { try walk.skip(3 << (Int(flags & 7) + 1)) }
  }

  private static func skipSubBlocks(_ walk: inout ByteWalk) throws(ImageError) {
    while true {
      let length = try walk.byte()
      if length == 0 { return }
      try walk.skip(Int(length))
    }
  }
}

/// WebP: chunks of a RIFF file (RFC 9649, section 2).
enum WebPStructure {
  static func walk(_ walk: inout ByteWalk) throws(ImageError) -> ImageShape {
    try walk.skip(4)
    let length = try walk.littleEndian(4)
    guard length >= 4 else { throw .broken }
    var chunks = ByteWalk(try walk.take(length))
    try chunks.skip(4)
    var canvas: ImageShape?
    var still: ImageShape?
    var frames = 0
    while !chunks.isAtEnd {
      let kind = String(decoding: try chunks.take(4), as: UTF8.self)
      let size = try chunks.littleEndian(4)
      var content = ByteWalk(try chunks.take(size))
      if size % 2 == 1, !chunks.isAtEnd { try chunks.skip(1) }
      switch kind {
      case "VP8X":
        try content.skip(4)
        canvas = ImageShape(width: try content.littleEndian(3) + 1, height: try content.littleEndian(3) + 1)
      case "ANMF": frames += 1
      case "VP8 ", "VP8L":
        guard still == nil else { throw .broken }
        still = try kind == "VP8L" ? lossless(&content) : lossy(&content)
      default: break
      }
    }
    try walk.expectEnd()
    guard (still != nil) != (frames > 0), var shape = canvas ?? still else { throw .broken }
    shape.frames = max(frames, 1)
    return shape
  }

  /// The same file without profile, Exif and XMP, which libvips 8.14 leaves in an animation even when it is told to strip them.
  ///
  /// - Parameter bytes: a file through which `walk` has gone.
  static func withoutMetadata(_ bytes: [UInt8]) throws(ImageError) -> [UInt8] {
    var chunks = ByteWalk(bytes[...])
    try chunks.skip(12)
    var kept: [UInt8] = []
    while !chunks.isAtEnd {
      let kind = try chunks.take(4)
      let size = try chunks.littleEndian(4)
      var content = Array(try chunks.take(size))
      if size % 2 == 1, !chunks.isAtEnd { try chunks.skip(1) }
      if ["ICCP", "EXIF", "XMP "].contains(where: { kind.elementsEqual($0.utf8) }) { continue }
      // Section 2.7.1: the flags that say that there are such chunks.
      if kind.elementsEqual("VP8X".utf8), !content.isEmpty { content[0] &= ~0x2c }
      kept += kind + littleEndian(size) + content
      if size % 2 == 1 { kept.append(0) }
    }
    return Array("RIFF".utf8) + littleEndian(kept.count + 4) + Array("WEBP".utf8) + kept
  }

  private static func littleEndian(_ number: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }

  /// RFC 6386, section 9.1.
  private static func lossy(_ content: inout ByteWalk) throws(ImageError) -> ImageShape {
    try content.skip(3)
    guard try content.take(3).elementsEqual([0x9d, 0x01, 0x2a]) else { throw .broken }
    return ImageShape(width: try content.littleEndian(2) & 0x3fff, height: try content.littleEndian(2) & 0x3fff)
  }

  /// RFC 9649, section 3.4.
  private static func lossless(_ content: inout ByteWalk) throws(ImageError) -> ImageShape {
    guard try content.byte() == 0x2f else { throw .broken }
    let bits = try content.littleEndian(4)
    return ImageShape(width: bits & 0x3fff + 1, height: bits >> 14 & 0x3fff + 1)
  }
}
