// GIF, by GIFLIB. Its pixels are numbers of colours, so each frame can be written again as it is: nothing is painted or quantized.

import CGIF
import ImageFiles

/// All frames of a GIF, decoded.
final class GIFAnimation {
  private let file: GIFFile
  private let decoder: UnsafeMutablePointer<GifFileType>

  /// Frames that are whole.
  private let count: Int

  private var screen: GifFileType { decoder.pointee }
  private var frames: UnsafeMutableBufferPointer<SavedImage> {
    UnsafeMutableBufferPointer(start: screen.SavedImages, count: count)
  }

  init(_ file: GIFFile) throws(ImageError) {
    self.file = file
    let bytes = file.bytes
    var code: Int32 = 0
    // GIFLIB reads by a function, which finds what is left here.
    let opened: (decoder: UnsafeMutablePointer<GifFileType>, isWhole: Bool)? = bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      return withUnsafeMutablePointer(to: &rest) { rest in
        let read: InputFunc = { file, target, count in
          guard let file, let target, let rest = file.pointee.UserData?.assumingMemoryBound(to: Slice<UnsafeRawBufferPointer>.self)
          else { return 0 }
          let some = rest.pointee.prefix(Int(count))
          UnsafeMutableRawBufferPointer(start: target, count: some.count).copyBytes(from: some)
          rest.pointee = rest.pointee.dropFirst(some.count)
          return Int32(some.count)
        }
        guard let decoder = DGifOpen(rest, read, &code) else { return nil }
        let isWhole = DGifSlurp(decoder) == GIF_OK
        decoder.pointee.UserData = nil
        return (decoder, isWhole)
      }
    }
    guard let opened else { throw .undecodable }
    decoder = opened.decoder
    // Where a later frame cannot be decoded browsers show those before it.
    count = Int(decoder.pointee.ImageCount) - (opened.isWhole ? 0 : 1)
    guard count > 0 else { throw .undecodable }
  }

  deinit { DGifCloseFile(decoder, nil) }

  /// The same frames with the same colours, times and places, and nothing else.
  func encoded() throws(ImageError) -> [UInt8] { try encode(frames.map { Frame($0) }) }

  /// Of the first frame, as a GIF.
  func thumbnail(side: Int) throws(ImageError) -> [UInt8] {
    var first = Frame(frames[0])
    first.control?.DelayTime = 0
    guard max(file.width, file.height) > side else { return try encode([first]) }
    let colours = palette(of: first)
    var canvas = Raster.clear(width: file.width, height: file.height)
    for row in 0..<first.height {
      for column in 0..<first.width {
        let number = Int(first.pixels[row * first.width + column])
        guard number != first.transparent else { continue }
        let place = ((first.top + row) * file.width + first.left + column) * 4
        (canvas.pixels[place], canvas.pixels[place + 1], canvas.pixels[place + 2]) = number < colours.count ? colours[number] : (0, 0, 0)
        canvas.pixels[place + 3] = 255
      }
    }
    return try encode(canvas.fitted(into: side))
  }

  private typealias Colour = (UInt8, UInt8, UInt8)

  private struct Frame {
    let left: Int
    let top: Int
    let width: Int
    let height: Int
    /// Numbers of colours.
    var pixels: UnsafeBufferPointer<UInt8>
    /// Its own colours; nil for those of all frames.
    let colours: UnsafeMutablePointer<ColorMapObject>?
    /// How long it is shown, what becomes of it, and which colour is none.
    var control: GraphicsControlBlock?

    /// -1 if all colours are seen.
    var transparent: Int { control.map { Int($0.TransparentColor) } ?? -1 }

    init(_ image: SavedImage) {
      let place = image.ImageDesc
      (left, top, width, height) = (Int(place.Left), Int(place.Top), Int(place.Width), Int(place.Height))
      pixels = UnsafeBufferPointer(start: image.RasterBits, count: width * height)
      colours = place.ColorMap
      for block in UnsafeBufferPointer(start: image.ExtensionBlocks, count: Int(image.ExtensionBlockCount))
      where block.Function == GRAPHICS_EXT_FUNC_CODE {
        var found = GraphicsControlBlock()
        if DGifExtensionToGCB(Int(block.ByteCount), block.Bytes, &found) == GIF_OK { control = found }
      }
    }

    init(_ raster: Raster, pixels: UnsafeBufferPointer<UInt8>, transparent: Int?) {
      (left, top, width, height) = (0, 0, raster.width, raster.height)
      self.pixels = pixels
      colours = nil
      if let transparent {
        control = GraphicsControlBlock(DisposalMode: 0, UserInputFlag: false, DelayTime: 0, TransparentColor: Int32(transparent))
      }
    }
  }

  private func palette(of frame: Frame) -> [Colour] {
    guard let map = frame.colours ?? screen.SColorMap else { return [] }
    return UnsafeBufferPointer(start: map.pointee.Colors, count: Int(map.pointee.ColorCount)).map { ($0.Red, $0.Green, $0.Blue) }
  }

  /// How often all of it is shown (Netscape's extension, of which the last counts, be it behind the last frame); nil without a word of
  /// it: once.
  private var loops: UInt16? {
    var blocks = frames.flatMap { UnsafeBufferPointer(start: $0.ExtensionBlocks, count: Int($0.ExtensionBlockCount)) }
    blocks += UnsafeBufferPointer(start: screen.ExtensionBlocks, count: Int(screen.ExtensionBlockCount))
    for (block, next) in zip(blocks, blocks.dropFirst()).reversed() where block.Function == APPLICATION_EXT_FUNC_CODE {
      let name = UnsafeBufferPointer(start: block.Bytes, count: Int(block.ByteCount))
      let content = UnsafeBufferPointer(start: next.Bytes, count: Int(next.ByteCount))
      guard name.elementsEqual("NETSCAPE2.0".utf8) || name.elementsEqual("ANIMEXTS1.0".utf8), next.Function == CONTINUE_EXT_FUNC_CODE,
        content.count == 3, content[0] == 1
      else { continue }
      return UInt16(content[1]) | UInt16(content[2]) << 8
    }
    return nil
  }

  private func encode(_ frames: [Frame]) throws(ImageError) -> [UInt8] {
    let output = try GIFWriter(
      width: Int(screen.SWidth), height: Int(screen.SHeight), background: Int(screen.SBackGroundColor), screen.SColorMap)
    if frames.count > 1, let loops { try output.add(loops: loops) }
    for frame in frames {
      let colours = palette(of: frame)
      let highest = frame.pixels.max().map { Int($0) } ?? 0
      if highest < colours.count {
        try output.add(
          frame.control, left: frame.left, top: frame.top, width: frame.width, height: frame.height, frame.colours, frame.pixels)
        continue
      }
      // Browsers paint black where there is no such colour.
      let map = try ColourMap(colours + [Colour](repeating: (0, 0, 0), count: highest + 1 - colours.count))
      try output.add(
        frame.control, left: frame.left, top: frame.top, width: frame.width, height: frame.height, map.pointer, frame.pixels)
    }
    return try output.finish()
  }

  /// With colours of its own: averaging has made some that the original has not.
  private func encode(_ raster: Raster) throws(ImageError) -> [UInt8] {
    var (colours, numbers) = try Self.counted(raster)
    let transparent = colours.count
    var isClear = false
    for pixel in numbers.indices where raster.pixels[pixel * 4 + 3] < 128 {
      numbers[pixel] = UInt8(transparent)
      isClear = true
    }
    let map = try ColourMap(colours + [(0, 0, 0)])
    let output = try GIFWriter(width: raster.width, height: raster.height, background: 0, map.pointer)
    try numbers.withUnsafeBufferPointer { buffer throws(ImageError) in
      let frame = Frame(raster, pixels: buffer, transparent: isClear ? transparent : nil)
      try output.add(frame.control, left: 0, top: 0, width: frame.width, height: frame.height, nil, frame.pixels)
    }
    return try output.finish()
  }

  private static func counted(_ raster: Raster) throws(ImageError) -> (colours: [Colour], numbers: [UInt8]) {
    if let exact = exactly(raster) { return exact }
    return try quantized(raster)
  }

  /// Up to 255 colours as they are; nil for more.
  private static func exactly(_ raster: Raster) -> (colours: [Colour], numbers: [UInt8])? {
    var known: [UInt32: UInt8] = [:]
    var colours: [Colour] = []
    var numbers = [UInt8](repeating: 0, count: raster.width * raster.height)
    for pixel in numbers.indices where raster.pixels[pixel * 4 + 3] >= 128 {
      let colour = (raster.pixels[pixel * 4], raster.pixels[pixel * 4 + 1], raster.pixels[pixel * 4 + 2])
      let word = UInt32(colour.0) << 16 | UInt32(colour.1) << 8 | UInt32(colour.2)
      if known[word] == nil {
        guard colours.count < 255 else { return nil }
        known[word] = UInt8(colours.count)
        colours.append(colour)
      }
      numbers[pixel] = known[word] ?? 0
    }
    return (colours, numbers)
  }

  /// 255 colours, chosen by GIFLIB.
  private static func quantized(_ raster: Raster) throws(ImageError) -> (colours: [Colour], numbers: [UInt8]) {
    let count = raster.width * raster.height
    var (red, green, blue) = ([UInt8](repeating: 0, count: count), [UInt8](repeating: 0, count: count), [UInt8](repeating: 0, count: count))
    for pixel in 0..<count where raster.pixels[pixel * 4 + 3] >= 128 {
      (red[pixel], green[pixel], blue[pixel]) = (raster.pixels[pixel * 4], raster.pixels[pixel * 4 + 1], raster.pixels[pixel * 4 + 2])
    }
    var size: Int32 = 255
    var numbers = [UInt8](repeating: 0, count: count)
    var colours = [GifColorType](repeating: GifColorType(Red: 0, Green: 0, Blue: 0), count: 256)
    let status = GifQuantizeBuffer(UInt32(raster.width), UInt32(raster.height), &size, &red, &green, &blue, &numbers, &colours)
    guard status == GIF_OK else { throw .undecodable }
    return (colours.prefix(Int(size)).map { ($0.Red, $0.Green, $0.Blue) }, numbers)
  }
}
