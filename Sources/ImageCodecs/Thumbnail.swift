// Smaller versions, made by libwebp's rescaler, which averages the area that becomes a pixel.

import CWebP
import ImageFiles

extension Raster {
  /// At most so many pixels a side, in the same proportions; as it is if it is no larger.
  func fitted(into side: Int) throws(ImageError) -> Raster {
    guard max(width, height) > side else { return self }
    let scale = Double(side) / Double(max(width, height))
    let (newWidth, newHeight) = (max(1, Int((Double(width) * scale).rounded())), max(1, Int((Double(height) * scale).rounded())))
    var picture = try WebPCodec.picture(of: self)
    defer { WebPPictureFree(&picture) }
    guard WebPPictureRescale(&picture, Int32(newWidth), Int32(newHeight)) != 0 else { throw .unavailable("no memory for a thumbnail") }
    // Words of alpha, red, green and blue, from the highest bits to the lowest.
    return Raster(width: newWidth, height: newHeight, channels: channels) { target in
      var place = 0
      for row in 0..<newHeight {
        for column in 0..<newWidth {
          let word = picture.argb[row * Int(picture.argb_stride) + column]
          let shifts: [UInt32] = [16, 8, 0, 24]
          for channel in 0..<channels.rawValue {
            target[place] = UInt8(truncatingIfNeeded: word >> shifts[channel])
            place += 1
          }
        }
      }
    }
  }
}
