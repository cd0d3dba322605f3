// From an image's file to the two that are served. The one place that knows all four kinds.

import ImageFiles

/// The two files that are made of an image: neither holds anything but pixels in sRGB, upright, and when they are shown.
public struct MadeImage: Sendable {
  /// As large as the image is, with all its frames.
  public let image: [UInt8]
  /// Of the first frame, `thumbnailSide` pixels at most a side.
  public let thumbnail: [UInt8]

  public static let thumbnailSide = 400

  /// - Parameter bytes: a file of one of the kinds of `ImageFormat`.
  /// - Throws: as `ImageFile`; `.undecodable` for pixels that cannot be decoded, or not all; `.unavailable` without memory.
  public init(of bytes: [UInt8]) throws(ImageError) {
    switch try ImageFile(bytes[...]) {
    case .jpeg(let file):
      let raster = try JPEGCodec.decode(file).turned(file.orientation)
      image = try JPEGCodec.encode(raster, JPEGCodec.Quality(raster, hasFineColours: file.hasFineColours))
      thumbnail = try JPEGCodec.encode(raster.fitted(into: Self.thumbnailSide), .thumbnail)
    case .png(let file) where file.frames.count > 1:
      let animation = try AnimationWriter(width: file.width, height: file.height, plays: file.plays, isLossless: true)
      var painter = FramePainter(file)
      var first: Raster?
      for frame in file.frames {
        let canvas: Raster
        do throws(ImageError) {
          canvas = try painter.paint(frame)
        } catch .undecodable where first != nil {
          // Browsers show the frames before.
          break
        }
        if first == nil { first = canvas }
        try animation.add(canvas, milliseconds: frame.milliseconds)
      }
      guard let first else { throw .broken }
      image = try animation.finish()
      thumbnail = try WebPCodec.encode(first.fitted(into: Self.thumbnailSide), isLossless: true)
    case .png(let file):
      var painter = FramePainter(file)
      let raster = try file.frames.isEmpty ? PNGCodec.decode(file.bytes, file.codePoints) : painter.paint(file.frames[0])
      let upright = raster.turned(file.orientation)
      image = try PNGCodec.encode(upright)
      thumbnail = try PNGCodec.encode(upright.fitted(into: Self.thumbnailSide))
    case .gif(let file):
      let animation = try GIFAnimation(file)
      image = try animation.encoded()
      thumbnail = try animation.thumbnail(side: Self.thumbnailSide)
    case .webp(let file) where file.frames > 0:
      (image, thumbnail) = try WebPAnimation.encodeAgain(file, thumbnailSide: Self.thumbnailSide)
    case .webp(let file):
      let (bytes, meaning) = (Array(file.bytes), Meaning(profile: file.profile))
      let raster = try WebPCodec.decode(bytes, width: file.width, height: file.height, meaning)
      image = try WebPCodec.encodeAgain(bytes, width: file.width, height: file.height, meaning)
      thumbnail = try WebPCodec.encode(raster.fitted(into: Self.thumbnailSide), isLossless: file.isLossless)
    }
  }
}
