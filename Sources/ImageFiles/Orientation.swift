// How a camera was held.

/// The orientation of an image as Exif has it (Exif 2.32, section 4.6.4, tag 274): what is stored is turned and mirrored like this to be
/// upright. The names say where the stored first row and first column are in the upright image.
public enum Orientation: Int, Sendable {
  case topLeft = 1
  case topRight, bottomRight, bottomLeft, leftTop, rightTop, rightBottom, leftBottom

  /// Whether width and height change places.
  public var isSideways: Bool { rawValue >= 5 }

  /// - Parameter exif: a TIFF structure (TIFF 6.0, section 2), with or without `Exif\0\0` before it. Without an orientation, or one that
  ///   can be read, the image stays as it is, as browsers leave it.
  init(exif: ArraySlice<UInt8>) {
    self = (try? Self.find(in: exif)) ?? .topLeft
  }

  private static func find(in exif: ArraySlice<UInt8>) throws(ImageError) -> Orientation? {
    let tiff = exif.starts(with: "Exif\0\0".utf8) ? exif.dropFirst(6) : exif
    let isLittle = tiff.starts(with: [0x49, 0x49, 0x2a, 0])
    guard isLittle || tiff.starts(with: [0x4d, 0x4d, 0, 0x2a]) else { return nil }
    func number(_ walk: inout ByteWalk, _ count: Int) throws(ImageError) -> Int {
      isLittle ? try walk.littleEndian(count) : try walk.bigEndian(count)
    }
    var walk = ByteWalk(tiff)
    try walk.skip(4)
    let directory = try number(&walk, 4)
    walk = ByteWalk(tiff)
    try walk.skip(directory)
    for _ in 0..<(try number(&walk, 2)) {
      let tag = try number(&walk, 2)
      let type = try number(&walk, 2)
      try walk.skip(4)
      let value = try number(&walk, 2)
      try walk.skip(2)
      if tag == 274 { return type == 3 ? Orientation(rawValue: value) : nil }
    }
    return nil
  }
}
