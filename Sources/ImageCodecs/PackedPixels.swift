// The smallest of PNG's ways to say the same pixels.

import CSPNG

/// Pixels as a PNG file has them.
struct PackedPixels {
  let colourType: spng_color_type
  let pixels: [UInt8]
  private(set) var palette: spng_plte?
  /// Of the palette's colours; nil if all are opaque.
  private(set) var transparency: spng_trns?

  /// By a palette if there are no more than 256 colours, which drawings and screenshots seldom exceed; else without what all pixels lack.
  init(_ raster: Raster) {
    if raster.channels != .grey, let indexed = IndexedPixels(raster) {
      colourType = SPNG_COLOR_TYPE_INDEXED
      pixels = indexed.pixels
      palette = indexed.palette
      transparency = indexed.transparency
      return
    }
    colourType =
      switch raster.channels {
      case .grey: SPNG_COLOR_TYPE_GRAYSCALE
      case .rgb: SPNG_COLOR_TYPE_TRUECOLOR
      case .rgba: SPNG_COLOR_TYPE_TRUECOLOR_ALPHA
      }
    pixels = raster.pixels
  }
}

/// Pixels as numbers of colours.
private struct IndexedPixels {
  private(set) var pixels: [UInt8] = []
  private(set) var palette = spng_plte()
  private(set) var transparency: spng_trns?

  /// nil for more than 256 colours.
  init?(_ raster: Raster) {
    let size = raster.channels.rawValue
    var numbers: [UInt32: UInt8] = [:]
    var colours: [UInt32] = []
    pixels.reserveCapacity(raster.width * raster.height)
    var last: (colour: UInt32, number: UInt8)?
    for place in stride(from: 0, to: raster.pixels.count, by: size) {
      var colour: UInt32 = size == 4 ? UInt32(raster.pixels[place + 3]) << 24 : 0xff00_0000
      for channel in 0..<3 { colour |= UInt32(raster.pixels[place + channel]) << UInt32(8 * channel) }
      if let last, last.colour == colour {
        pixels.append(last.number)
        continue
      }
      let number: UInt8
      if let known = numbers[colour] {
        number = known
      } else {
        guard colours.count < 256 else { return nil }
        number = UInt8(colours.count)
        colours.append(colour)
        numbers[colour] = number
      }
      last = (colour, number)
      pixels.append(number)
    }
    palette.n_entries = UInt32(colours.count)
    withUnsafeMutableBytes(of: &palette.entries) { entries in
      for (number, colour) in colours.enumerated() {
        entries.storeBytes(of: (colour & 0xff_ffff).littleEndian, toByteOffset: number * 4, as: UInt32.self)
      }
    }
    guard colours.contains(where: { $0 >> 24 < 255 }) else { return }
    var transparency = spng_trns()
    transparency.n_type3_entries = UInt32(colours.count)
    withUnsafeMutableBytes(of: &transparency.type3_alpha) { alphas in
      for (number, colour) in colours.enumerated() { alphas[number] = UInt8(colour >> 24) }
    }
    self.transparency = transparency
  }
}
