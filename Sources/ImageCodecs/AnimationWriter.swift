// Animations as WebP.

import CWebP
import ImageFiles

/// Takes the frames of an animation one after the other, and makes a WebP file of them.
final class AnimationWriter {
  private let encoder: OpaquePointer
  private var configuration: WebPConfig
  /// When the next frame begins, in milliseconds.
  private var time: Int32 = 0

  /// A frame's time is a number of three bytes (RFC 9649, section 2.7.1.1).
  private static let longestFrame = 0xff_ffff

  /// - Parameter plays: how often it is shown; 0: without end.
  init(width: Int, height: Int, plays: Int, isLossless: Bool) throws(ImageError) {
    var options = WebPAnimEncoderOptions()
    guard WebPAnimEncoderOptionsInit(&options) != 0 else { throw .unavailable("libwebp is of another version") }
    options.anim_params.loop_count = Int32(clamping: min(plays, 65_535))
    configuration = try WebPCodec.configuration(isLossless: isLossless)
    // Of larger ones libwebp makes no file.
    guard max(width, height) <= 16_383 else { throw .undecodable }
    guard let encoder = WebPAnimEncoderNew(Int32(width), Int32(height), &options) else { throw .unavailable("no memory for an encoder") }
    self.encoder = encoder
  }

  deinit { WebPAnimEncoderDelete(encoder) }

  func add(_ frame: Raster, milliseconds: Int) throws(ImageError) {
    var picture = try WebPCodec.picture(of: frame)
    defer { WebPPictureFree(&picture) }
    guard WebPAnimEncoderAdd(encoder, &picture, time, &configuration) != 0 else { throw WebPCodec.failure(picture.error_code) }
    let (end, overflow) = time.addingReportingOverflow(Int32(min(max(milliseconds, 0), Self.longestFrame)))
    guard !overflow else { throw .undecodable }
    time = end
  }

  func finish() throws(ImageError) -> [UInt8] {
    var file = WebPData()
    WebPDataInit(&file)
    defer { WebPDataClear(&file) }
    guard WebPAnimEncoderAdd(encoder, nil, time, nil) != 0, WebPAnimEncoderAssemble(encoder, &file) != 0 else { throw .undecodable }
    return Array(UnsafeBufferPointer(start: file.bytes, count: file.size))
  }
}
