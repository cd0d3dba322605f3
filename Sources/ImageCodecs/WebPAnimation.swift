// Animated WebP, by libwebp: each frame is written again by itself, in its place and for its time.

import CWebP
import ImageFiles

enum WebPAnimation {
  /// Nothing is painted: frames that were painted over one another and cut out again wore out each time that the animation was posted.
  ///
  /// - Returns: the animation, and a picture of its first frame, `thumbnailSide` pixels at most a side.
  static func encodeAgain(_ file: WebPFile, thumbnailSide: Int) throws(ImageError) -> (image: [UInt8], thumbnail: [UInt8]) {
    let bytes = Array(file.bytes)
    return try bytes.withUnsafeBufferPointer { buffer throws(ImageError) in
      var data = WebPData(bytes: buffer.baseAddress, size: buffer.count)
      guard let demuxer = WebPDemux(&data) else { throw .undecodable }
      defer { WebPDemuxDelete(demuxer) }
      guard WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH) == UInt32(file.width),
        WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT) == UInt32(file.height),
        WebPDemuxGetI(demuxer, WEBP_FF_FRAME_COUNT) == UInt32(file.frames)
      else { throw .undecodable }
      let hasAlpha = WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG.rawValue != 0
      let muxer = try Muxer(file, plays: Int(WebPDemuxGetI(demuxer, WEBP_FF_LOOP_COUNT)), hasAlpha: hasAlpha)
      var frame = WebPIterator()
      guard WebPDemuxGetFrame(demuxer, 1, &frame) != 0 else { throw .undecodable }
      defer { WebPDemuxReleaseIterator(&frame) }
      // All frames share one.
      let meaning = Meaning(profile: file.profile)
      let thumbnail = try firstFrame(frame, of: file, meaning).fitted(into: thumbnailSide)
      repeat {
        do throws(ImageError) {
          try muxer.add(frame, meaning)
        } catch .undecodable where frame.frame_num > 1 {
          // Browsers show the frames before.
          break
        }
      } while WebPDemuxNextFrame(&frame) != 0
      return (try muxer.finish(), try WebPCodec.encode(thumbnail, isLossless: file.isLossless))
    }
  }

  /// All that is to be seen at first.
  private static func firstFrame(_ frame: WebPIterator, of file: WebPFile, _ meaning: Meaning?) throws(ImageError) -> Raster {
    let pixels = try WebPCodec.decode(frame.bytes, width: Int(frame.width), height: Int(frame.height), meaning)
    guard (pixels.width, pixels.height) != (file.width, file.height) else { return pixels }
    var canvas = Raster.clear(width: file.width, height: file.height)
    let size = pixels.channels.rawValue
    for row in 0..<pixels.height {
      for column in 0..<pixels.width {
        let source = (row * pixels.width + column) * size
        let target = ((Int(frame.y_offset) + row) * file.width + Int(frame.x_offset) + column) * 4
        for channel in 0..<3 { canvas.pixels[target + channel] = pixels.pixels[source + channel] }
        canvas.pixels[target + 3] = size == 4 ? pixels.pixels[source + 3] : 255
      }
    }
    return canvas
  }
}

extension WebPIterator {
  /// The chunks of its picture.
  fileprivate var bytes: [UInt8] { Array(UnsafeBufferPointer(start: fragment.bytes, count: fragment.size)) }
}

/// The file that is made of them.
private final class Muxer {
  private let muxer: OpaquePointer
  private let hasAlpha: Bool

  /// - Parameters:
  ///   - plays: how often it is shown; 0: without end.
  ///   - hasAlpha: whether the file says that it is not opaque.
  init(_ file: WebPFile, plays: Int, hasAlpha: Bool) throws(ImageError) {
    guard let muxer = WebPMuxNew() else { throw .unavailable("no memory for an encoder") }
    self.muxer = muxer
    self.hasAlpha = hasAlpha
    // Browsers paint no background.
    var animation = WebPMuxAnimParams(bgcolor: 0, loop_count: Int32(plays))
    guard WebPMuxSetAnimationParams(muxer, &animation) == WEBP_MUX_OK,
      WebPMuxSetCanvasSize(muxer, Int32(file.width), Int32(file.height)) == WEBP_MUX_OK
    else { throw .undecodable }
  }

  deinit { WebPMuxDelete(muxer) }

  func add(_ frame: WebPIterator, _ meaning: Meaning?) throws(ImageError) {
    let picture = try WebPCodec.encodeAgain(frame.bytes, width: Int(frame.width), height: Int(frame.height), meaning)
    let status = picture.withUnsafeBufferPointer { buffer in
      var copy = WebPMuxFrameInfo()
      copy.bitstream = WebPData(bytes: buffer.baseAddress, size: buffer.count)
      (copy.x_offset, copy.y_offset, copy.duration) = (frame.x_offset, frame.y_offset, frame.duration)
      (copy.dispose_method, copy.blend_method) = (frame.dispose_method, frame.blend_method)
      copy.id = WEBP_CHUNK_ANMF
      return WebPMuxPushFrame(muxer, &copy, 1)
    }
    guard status == WEBP_MUX_OK else { throw status == WEBP_MUX_MEMORY_ERROR ? .unavailable("no memory for an encoder") : .undecodable }
  }

  func finish() throws(ImageError) -> [UInt8] {
    var file = WebPData()
    WebPDataInit(&file)
    defer { WebPDataClear(&file) }
    guard WebPMuxAssemble(muxer, &file) == WEBP_MUX_OK else { throw .undecodable }
    var bytes = Array(UnsafeBufferPointer(start: file.bytes, count: file.size))
    // libwebp looks at the frames, which may be opaque and leave something around them (RFC 9649, section 2.7: the flags of VP8X).
    if hasAlpha, bytes.dropFirst(12).starts(with: "VP8X".utf8) { bytes[20] |= UInt8(ALPHA_FLAG.rawValue) }
    return bytes
  }
}
