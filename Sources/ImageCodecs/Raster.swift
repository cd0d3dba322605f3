// Decoded pixels.

import ImageFiles

/// Pixels of 8 bits a channel, row after row from the top left, without padding.
struct Raster {
  /// What the channels of a pixel are; the raw value is their number.
  enum Channels: Int {
    case grey = 1
    case rgb = 3
    /// Colours are not multiplied by alpha.
    case rgba = 4
  }

  let width: Int
  let height: Int
  let channels: Channels
  var pixels: [UInt8]

  var rowLength: Int { width * channels.rawValue }

  init(width: Int, height: Int, channels: Channels, pixels: [UInt8]) {
    self.width = width
    self.height = height
    self.channels = channels
    self.pixels = pixels
  }

  /// - Parameter fill: writes all of the pixels' bytes.
  init<Failure: Error>(
    width: Int, height: Int, channels: Channels, _ fill: (UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Void
  ) throws(Failure) {
    self.init(width: width, height: height, channels: channels, pixels: [])
    pixels = try Self.bytes(count: rowLength * height, fill)
  }

  /// Bytes that nothing has set before `fill` sets them.
  static func bytes<Failure: Error>(
    count: Int, _ fill: (UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Void
  ) throws(Failure) -> [UInt8] {
    var failure: Failure?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(Failure) {
        try fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
        initialized = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Nothing to be seen.
  static func clear(width: Int, height: Int) -> Raster {
    Raster(width: width, height: height, channels: .rgba, pixels: [UInt8](repeating: 0, count: width * height * 4))
  }

  /// The same with colours.
  func withColours() -> Raster {
    guard channels == .grey else { return self }
    return Raster(width: width, height: height, channels: .rgb) { target in
      for (place, value) in pixels.enumerated() {
        target[place * 3] = value
        target[place * 3 + 1] = value
        target[place * 3 + 2] = value
      }
    }
  }

  /// Turned upright.
  func turned(_ orientation: Orientation) -> Raster {
    guard orientation != .topLeft else { return self }
    let size = channels.rawValue
    // Where the first pixel of what is stored goes, and how far apart two of its neighbours in a row and in a column are then.
    let (newWidth, newHeight) = orientation.isSideways ? (height, width) : (width, height)
    let (right, down) = (size, newWidth * size)
    let last = (x: (newWidth - 1) * right, y: (newHeight - 1) * down)
    let (first, inRow, inColumn) =
      switch orientation {
      case .topLeft: (0, right, down)
      case .topRight: (last.x, -right, down)
      case .bottomRight: (last.x + last.y, -right, -down)
      case .bottomLeft: (last.y, right, -down)
      case .leftTop: (0, down, right)
      case .rightTop: (last.x, down, -right)
      case .rightBottom: (last.x + last.y, -down, -right)
      case .leftBottom: (last.y, -down, right)
      }
    return Raster(width: newWidth, height: newHeight, channels: channels) { target in
      pixels.withUnsafeBufferPointer { source in
        var read = 0
        for row in 0..<height {
          var write = first + row * inColumn
          for _ in 0..<width {
            for channel in 0..<size { target[write + channel] = source[read + channel] }
            read += size
            write += inRow
          }
        }
      }
    }
  }
}
