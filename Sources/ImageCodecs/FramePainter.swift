// The frames of an animated PNG, each as all that is to be seen (W3C, Portable Network Graphics, third edition, section 11.3.6.2).

import ImageFiles

/// Paints one frame after the other on a canvas that is clear at first.
struct FramePainter {
  private let file: PNGFile
  private var canvas: Raster
  /// What the next frame finds.
  private var before: Raster
  private var meaning: Meaning??

  init(_ file: PNGFile) {
    self.file = file
    canvas = .clear(width: file.width, height: file.height)
    before = canvas
  }

  /// - Returns: the canvas with this frame on it.
  mutating func paint(_ frame: PNGFrame) throws(ImageError) -> Raster {
    let pixels = try PNGCodec.decode(file.bytes(of: frame), file.codePoints, &meaning)
    canvas = before
    for row in 0..<frame.height {
      for column in 0..<frame.width {
        let target = ((frame.top + row) * file.width + frame.left + column) * 4
        let pixel = pixels.pixel(column, row)
        canvas.paint(frame.isBlended ? pixel.over(canvas.pixel(at: target)) : pixel, at: target)
      }
    }
    switch frame.disposal {
    case .keep: before = canvas
    case .restore: break
    case .clear:
      before = canvas
      for row in 0..<frame.height {
        for column in 0..<frame.width {
          before.paint(Pixel(red: 0, green: 0, blue: 0, alpha: 0), at: ((frame.top + row) * file.width + frame.left + column) * 4)
        }
      }
    }
    return canvas
  }
}

private struct Pixel {
  var red: UInt8
  var green: UInt8
  var blue: UInt8
  var alpha: UInt8

  /// Porter and Duff's "over", with colours that are not multiplied by alpha.
  func over(_ below: Pixel) -> Pixel {
    if alpha == 255 || below.alpha == 0 { return self }
    if alpha == 0 { return below }
    let own = Int(alpha) * 255
    let shown = Int(below.alpha) * (255 - Int(alpha))
    func mix(_ above: UInt8, _ below: UInt8) -> UInt8 {
      UInt8((Int(above) * own + Int(below) * shown + (own + shown) / 2) / (own + shown))
    }
    return Pixel(
      red: mix(red, below.red), green: mix(green, below.green), blue: mix(blue, below.blue), alpha: UInt8((own + shown + 127) / 255))
  }
}

extension Raster {
  fileprivate func pixel(_ column: Int, _ row: Int) -> Pixel {
    let place = (row * width + column) * channels.rawValue
    return switch channels {
    case .grey: Pixel(red: pixels[place], green: pixels[place], blue: pixels[place], alpha: 255)
    case .rgb: Pixel(red: pixels[place], green: pixels[place + 1], blue: pixels[place + 2], alpha: 255)
    case .rgba: pixel(at: place)
    }
  }

  /// Of pixels with alpha.
  fileprivate func pixel(at place: Int) -> Pixel {
    Pixel(red: pixels[place], green: pixels[place + 1], blue: pixels[place + 2], alpha: pixels[place + 3])
  }

  fileprivate mutating func paint(_ pixel: Pixel, at place: Int) {
    pixels[place] = pixel.red
    pixels[place + 1] = pixel.green
    pixels[place + 2] = pixel.blue
    pixels[place + 3] = pixel.alpha
  }
}
