// WebP, by libwebp.

import CWebP
import ImageFiles

enum WebPCodec {
  /// So high, since a picture that is posted again and again would wear out: below, colours that change from place to place were more than 2
  /// of 255 off after six times.
  private static let quality: Float = 93

  /// The pixels in sRGB.
  static func decode(_ file: WebPFile) throws(ImageError) -> Raster {
    let bytes = Array(file.bytes)
    var features = WebPBitstreamFeatures()
    guard WebPGetFeatures(bytes, bytes.count, &features) == VP8_STATUS_OK, features.width == Int32(file.width),
      features.height == Int32(file.height)
    else { throw .undecodable }
    // A lossless picture has alpha, and browsers show it, even where its header says that it has none.
    let hasAlpha = features.has_alpha != 0 || file.isLossless
    let raster = try Raster(width: file.width, height: file.height, channels: hasAlpha ? .rgba : .rgb) { target throws(ImageError) in
      let decode = hasAlpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto
      let row = Int32(file.width * (hasAlpha ? 4 : 3))
      guard decode(bytes, bytes.count, target.baseAddress, target.count, row) != nil else { throw .undecodable }
    }
    return Colours.inSRGB(raster, file.profile)
  }

  /// - Parameter isLossless: whether every pixel has to come out as it is.
  static func encode(_ raster: Raster, isLossless: Bool) throws(ImageError) -> [UInt8] {
    var picture = try picture(of: raster)
    defer { WebPPictureFree(&picture) }
    return try encode(&picture, isLossless: isLossless)
  }

  /// A lossy picture, written again from its own planes of brightness and colours: by way of red, green and blue its colours would be
  /// averaged over their neighbours each time that it is posted.
  static func encodeAgain(_ file: WebPFile) throws(ImageError) -> [UInt8] {
    let bytes = Array(file.bytes)
    var decoder = WebPDecoderConfig()
    guard WebPInitDecoderConfig(&decoder) != 0 else { throw .unavailable("libwebp is of another version") }
    guard WebPGetFeatures(bytes, bytes.count, &decoder.input) == VP8_STATUS_OK else { throw .undecodable }
    let hasAlpha = decoder.input.has_alpha != 0
    decoder.output.colorspace = hasAlpha ? MODE_YUVA : MODE_YUV
    defer { WebPFreeDecBuffer(&decoder.output) }
    guard WebPDecode(bytes, bytes.count, &decoder) == VP8_STATUS_OK else { throw .undecodable }
    var picture = try emptyPicture(width: Int(decoder.output.width), height: Int(decoder.output.height))
    let planes = decoder.output.u.YUVA
    picture.use_argb = 0
    picture.colorspace = hasAlpha ? WEBP_YUV420A : WEBP_YUV420
    (picture.y, picture.u, picture.v) = (planes.y, planes.u, planes.v)
    (picture.y_stride, picture.uv_stride) = (planes.y_stride, planes.u_stride)
    if hasAlpha { (picture.a, picture.a_stride) = (planes.a, planes.a_stride) }
    return try encode(&picture, isLossless: false)
  }

  private static func encode(_ picture: inout WebPPicture, isLossless: Bool) throws(ImageError) -> [UInt8] {
    var configuration = try configuration(isLossless: isLossless)
    var writer = WebPMemoryWriter()
    WebPMemoryWriterInit(&writer)
    defer { WebPMemoryWriterClear(&writer) }
    let isDone = withUnsafeMutablePointer(to: &writer) { writer in
      picture.writer = { WebPMemoryWrite($0, $1, $2) }
      picture.custom_ptr = UnsafeMutableRawPointer(writer)
      return WebPEncode(&configuration, &picture) != 0
    }
    guard isDone else { throw failure(picture.error_code) }
    return Array(UnsafeBufferPointer(start: writer.mem, count: writer.size))
  }

  private static func emptyPicture(width: Int, height: Int) throws(ImageError) -> WebPPicture {
    var picture = WebPPicture()
    guard WebPPictureInit(&picture) != 0 else { throw .unavailable("libwebp is of another version") }
    picture.width = Int32(width)
    picture.height = Int32(height)
    return picture
  }

  /// The pixels for libwebp, which the caller has to free.
  static func picture(of raster: Raster) throws(ImageError) -> WebPPicture {
    let colours = raster.withColours()
    var picture = try emptyPicture(width: raster.width, height: raster.height)
    picture.use_argb = 1
    let importer = colours.channels == .rgba ? WebPPictureImportRGBA : WebPPictureImportRGB
    guard importer(&picture, colours.pixels, Int32(colours.rowLength)) != 0 else { throw .unavailable("no memory for an encoder") }
    return picture
  }

  static func configuration(isLossless: Bool) throws(ImageError) -> WebPConfig {
    var configuration = WebPConfig()
    guard WebPConfigInit(&configuration) != 0 else { throw .unavailable("libwebp is of another version") }
    configuration.quality = quality
    configuration.method = 2
    if isLossless {
      guard WebPConfigLosslessPreset(&configuration, 2) != 0 else { throw .unavailable("libwebp is of another version") }
      configuration.exact = 1
    }
    return configuration
  }

  /// - Parameter code: of a picture that could not be encoded.
  static func failure(_ code: WebPEncodingError) -> ImageError {
    switch code {
    case VP8_ENC_ERROR_OUT_OF_MEMORY, VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY: .unavailable("no memory for an encoder")
    default: .undecodable
    }
  }

  /// Frame by frame, so that only one of them is there at a time.
  static func reencodeAnimation(_ file: WebPFile, thumbnailSide: Int) throws(ImageError) -> (image: [UInt8], thumbnail: [UInt8]) {
    let bytes = Array(file.bytes)
    return try bytes.withUnsafeBufferPointer { buffer throws(ImageError) in
      var data = WebPData(bytes: buffer.baseAddress, size: buffer.count)
      var options = WebPAnimDecoderOptions()
      var info = WebPAnimInfo()
      guard WebPAnimDecoderOptionsInit(&options) != 0 else { throw .unavailable("libwebp is of another version") }
      options.color_mode = MODE_RGBA
      guard let decoder = WebPAnimDecoderNew(&data, &options) else { throw .undecodable }
      defer { WebPAnimDecoderDelete(decoder) }
      guard WebPAnimDecoderGetInfo(decoder, &info) != 0, Int(info.canvas_width) == file.width, Int(info.canvas_height) == file.height,
        Int(info.frame_count) == file.frames
      else { throw .undecodable }
      let animation = try AnimationWriter(
        width: file.width, height: file.height, plays: Int(info.loop_count), isLossless: file.isLossless)
      var thumbnail: [UInt8]?
      var shown: Int32 = 0
      while WebPAnimDecoderHasMoreFrames(decoder) != 0 {
        var pixels: UnsafeMutablePointer<UInt8>?
        var end: Int32 = 0
        guard WebPAnimDecoderGetNext(decoder, &pixels, &end) != 0, let pixels else { throw .undecodable }
        let canvas = Raster(
          width: file.width, height: file.height, channels: .rgba,
          pixels: Array(UnsafeBufferPointer(start: pixels, count: file.width * file.height * 4)))
        let frame = Colours.inSRGB(canvas, file.profile)
        if thumbnail == nil { thumbnail = try encode(frame.fitted(into: thumbnailSide), isLossless: file.isLossless) }
        try animation.add(frame, milliseconds: Int(end - shown))
        shown = end
      }
      guard let thumbnail else { throw .undecodable }
      return (try animation.finish(), thumbnail)
    }
  }
}
