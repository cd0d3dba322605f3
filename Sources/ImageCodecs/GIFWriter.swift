// Writing GIF files, by GIFLIB.

import CGIF
import ImageFiles

/// A table of colours that GIFLIB has made: of a power of two, filled up with black.
final class ColourMap {
  let pointer: UnsafeMutablePointer<ColorMapObject>

  /// - Parameter colours: 1 to 256.
  init(_ colours: [(UInt8, UInt8, UInt8)]) throws(ImageError) {
    var size = 2
    while size < colours.count { size *= 2 }
    guard let map = GifMakeMapObject(Int32(size), nil) else { throw .unavailable("no memory for colours") }
    for (number, colour) in colours.enumerated() {
      map.pointee.Colors[number] = GifColorType(Red: colour.0, Green: colour.1, Blue: colour.2)
    }
    pointer = map
  }

  deinit { GifFreeMapObject(pointer) }
}

/// One GIF file, frame after frame.
final class GIFWriter {
  private final class Output {
    var bytes: [UInt8] = []
  }

  private let output = Output()
  private var encoder: UnsafeMutablePointer<GifFileType>?

  /// - Parameters:
  ///   - background: the number of a colour that browsers do not paint.
  ///   - colours: of all frames that have none of their own.
  init(width: Int, height: Int, background: Int, _ colours: UnsafeMutablePointer<ColorMapObject>?) throws(ImageError) {
    var code: Int32 = 0
    encoder = EGifOpen(
      Unmanaged.passUnretained(output).toOpaque(),
      { file, bytes, count in
        guard let file, let bytes, let output = file.pointee.UserData else { return 0 }
        Unmanaged<Output>.fromOpaque(output).takeUnretainedValue().bytes += UnsafeBufferPointer(start: bytes, count: Int(count))
        return count
      }, &code)
    guard let encoder else { throw .unavailable("no memory for an encoder") }
    EGifSetGifVersion(encoder, true)
    try check(EGifPutScreenDesc(encoder, Int32(width), Int32(height), 8, Int32(background), colours))
  }

  deinit { if let encoder { EGifCloseFile(encoder, nil) } }

  func add(loops: UInt16) throws(ImageError) {
    try check(EGifPutExtensionLeader(encoder, APPLICATION_EXT_FUNC_CODE))
    try check(EGifPutExtensionBlock(encoder, 11, Array("NETSCAPE2.0".utf8)))
    try check(EGifPutExtensionBlock(encoder, 3, [1, UInt8(loops & 0xff), UInt8(loops >> 8)]))
    try check(EGifPutExtensionTrailer(encoder))
  }

  /// - Parameters:
  ///   - colours: the frame's own; nil for those of all frames.
  ///   - pixels: numbers of colours, row after row.
  func add(
    _ control: GraphicsControlBlock?, left: Int, top: Int, width: Int, height: Int, _ colours: UnsafeMutablePointer<ColorMapObject>?,
    _ pixels: UnsafeBufferPointer<UInt8>
  ) throws(ImageError) {
    if var control {
      var bytes = [UInt8](repeating: 0, count: 4)
      let length = EGifGCBToExtension(&control, &bytes)
      try check(EGifPutExtension(encoder, GRAPHICS_EXT_FUNC_CODE, Int32(length), bytes))
    }
    try check(EGifPutImageDesc(encoder, Int32(left), Int32(top), Int32(width), Int32(height), false, colours))
    // It takes what it writes for its own, to mask it.
    var row = [UInt8](repeating: 0, count: width)
    for start in stride(from: 0, to: width * height, by: width) {
      for column in 0..<width { row[column] = pixels[start + column] }
      try check(EGifPutLine(encoder, &row, Int32(width)))
    }
  }

  func finish() throws(ImageError) -> [UInt8] {
    guard let encoder else { throw .undecodable }
    self.encoder = nil
    try check(EGifCloseFile(encoder, nil))
    return output.bytes
  }

  private func check(_ status: Int32) throws(ImageError) {
    guard status == GIF_OK else { throw .undecodable }
  }
}
