// WebP, by libwebp.

import CWebP
import ImageFiles

enum WebPCodec {
  /// So high, since a picture that is posted again and again would wear out: below, colours that change from place to place were more than 2
  /// of 255 off after six times.
  private static let quality: Float = 93

  /// - Parameters:
  ///   - bytes: a file with one picture, or a frame's chunks.
  ///   - width, height: of the picture, as the walk through the file has found them.
  ///   - meaning: of its colours, by the profile of the file; nil: sRGB.
  /// - Returns: the pixels in sRGB.
  static func decode(_ bytes: [UInt8], width: Int, height: Int, _ meaning: Meaning?) throws(ImageError) -> Raster {
    let features = try features(of: bytes, width: width, height: height)
    // A lossless picture has alpha, and browsers show it, even where its header says that it has none.
    let hasAlpha = features.has_alpha != 0 || features.isLossless
    let raster = try Raster(width: width, height: height, channels: hasAlpha ? .rgba : .rgb) { target throws(ImageError) in
      let decode = hasAlpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto
      let row = Int32(width * (hasAlpha ? 4 : 3))
      guard decode(bytes, bytes.count, target.baseAddress, target.count, row) != nil else { throw .undecodable }
    }
    guard let meaning else { return raster }
    return Colours.inSRGB(raster, meaning)
  }

  /// The same picture as a file of its own, in sRGB: a lossless one stays lossless.
  ///
  /// - Parameters: as of `decode`.
  static func encodeAgain(_ bytes: [UInt8], width: Int, height: Int, _ meaning: Meaning?) throws(ImageError) -> [UInt8] {
    let features = try features(of: bytes, width: width, height: height)
    guard features.isLossless || !Colours.leaveAsTheyAre(meaning) else { return try encodePlanesAgain(bytes, features) }
    return try encode(decode(bytes, width: width, height: height, meaning), isLossless: features.isLossless)
  }

  private static func features(of bytes: [UInt8], width: Int, height: Int) throws(ImageError) -> WebPBitstreamFeatures {
    var features = WebPBitstreamFeatures()
    guard WebPGetFeatures(bytes, bytes.count, &features) == VP8_STATUS_OK, features.width == Int32(width), features.height == Int32(height)
    else { throw .undecodable }
    return features
  }

  /// - Parameter isLossless: whether every pixel has to come out as it is.
  static func encode(_ raster: Raster, isLossless: Bool) throws(ImageError) -> [UInt8] {
    var picture = try picture(of: raster)
    defer { WebPPictureFree(&picture) }
    return try encode(&picture, isLossless: isLossless)
  }

  /// A lossy picture, written again from its own planes of brightness and colours: by way of red, green and blue its colours would be
  /// averaged over their neighbours each time that it is posted.
  private static func encodePlanesAgain(_ bytes: [UInt8], _ features: WebPBitstreamFeatures) throws(ImageError) -> [UInt8] {
    var decoder = WebPDecoderConfig()
    guard WebPInitDecoderConfig(&decoder) != 0 else { throw .unavailable("libwebp is of another version") }
    decoder.input = features
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
}

extension WebPBitstreamFeatures {
  fileprivate var isLossless: Bool { format == 2 }
}
