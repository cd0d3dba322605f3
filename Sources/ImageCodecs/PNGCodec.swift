// PNG, by libspng.

import CSPNG
import ImageFiles

enum PNGCodec {
  /// - Parameters:
  ///   - bytes: a whole file.
  ///   - codePoints: of its cICP chunk.
  /// - Returns: the pixels in sRGB.
  static func decode(_ bytes: [UInt8], _ codePoints: [UInt8]?) throws(ImageError) -> Raster {
    var meaning: Meaning??
    return try decode(bytes, codePoints, &meaning)
  }

  /// - Parameter meaning: of its colours, looked for if it is nil: frames of one file share one.
  static func decode(_ bytes: [UInt8], _ codePoints: [UInt8]?, _ meaning: inout Meaning??) throws(ImageError) -> Raster {
    try bytes.withUnsafeBufferPointer { buffer throws(ImageError) in
      let decoder = try PNGDecoder(buffer)
      let header = decoder.header
      if let range = codePoints.flatMap({ HighRange($0) }), let meaning = HighRange.meaning {
        var deep = try decoder.deepPixels()
        range.bring(&deep)
        return Colours.inSRGB(deep: deep, width: Int(header.width), height: Int(header.height), meaning)
          .narrowed(isGrey: decoder.isGrey, isOpaque: !decoder.hasAlpha)
      }
      let known = meaning ?? Colours.meaning(of: decoder, codePoints)
      meaning = .some(known)
      guard let known else { return try decoder.raster() }
      guard header.bit_depth == 16 else { return Colours.inSRGB(try decoder.raster(), known) }
      return Colours.inSRGB(deep: try decoder.deepPixels(), width: Int(header.width), height: Int(header.height), known)
        .narrowed(isGrey: decoder.isGrey, isOpaque: !decoder.hasAlpha)
    }
  }

  static func encode(_ raster: Raster) throws(ImageError) -> [UInt8] {
    guard let encoder = spng_ctx_new(Int32(SPNG_CTX_ENCODER.rawValue)) else { throw .unavailable("no memory for an encoder") }
    defer { spng_ctx_free(encoder) }
    let packed = PackedPixels(raster)
    var header = spng_ihdr(
      width: UInt32(raster.width), height: UInt32(raster.height), bit_depth: 8, color_type: UInt8(packed.colourType.rawValue),
      compression_method: 0, filter_method: 0, interlace_method: 0)
    spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1)
    // Beyond this a better compression takes seconds and gives little.
    spng_set_option(encoder, SPNG_IMG_COMPRESSION_LEVEL, packed.pixels.count > 16_000_000 ? 3 : 6)
    guard spng_set_ihdr(encoder, &header) == 0 else { throw .undecodable }
    if var palette = packed.palette {
      guard spng_set_plte(encoder, &palette) == 0 else { throw .undecodable }
      if var transparency = packed.transparency, spng_set_trns(encoder, &transparency) != 0 { throw .undecodable }
    }
    guard
      spng_encode_image(encoder, packed.pixels, packed.pixels.count, Int32(SPNG_FMT_PNG.rawValue), Int32(SPNG_ENCODE_FINALIZE.rawValue))
        == 0
    else { throw .unavailable("no memory for an encoder") }
    var length = 0
    var error: Int32 = 0
    guard let bytes = spng_get_png_buffer(encoder, &length, &error) else { throw .unavailable("no memory for an encoder") }
    // libspng leaves it to its caller to free(3).
    defer { free(bytes) }
    return Array(UnsafeRawBufferPointer(start: bytes, count: length))
  }
}

/// One file under libspng.
final class PNGDecoder {
  private let context: OpaquePointer
  private(set) var header = spng_ihdr()

  /// - Parameter bytes: stay where they are as long as this lives.
  init(_ bytes: UnsafeBufferPointer<UInt8>) throws(ImageError) {
    // As browsers, which show a picture whose checksum is wrong.
    guard let context = spng_ctx_new(Int32(SPNG_CTX_IGNORE_ADLER32.rawValue)) else { throw .unavailable("no memory for a decoder") }
    self.context = context
    spng_set_image_limits(context, 65_535, 65_535)
    spng_set_crc_action(context, Int32(SPNG_CRC_ERROR.rawValue), Int32(SPNG_CRC_DISCARD.rawValue))
    guard spng_set_png_buffer(context, bytes.baseAddress, bytes.count) == 0, spng_get_ihdr(context, &header) == 0 else {
      throw .undecodable
    }
  }

  deinit { spng_ctx_free(context) }

  /// Whether its colour type has no colours (PNG, section 11.2.1).
  var isGrey: Bool { header.color_type & 2 == 0 }

  var hasAlpha: Bool {
    var transparency = spng_trns()
    return header.color_type & 4 != 0 || spng_get_trns(context, &transparency) == 0
  }

  /// At 8 bits a channel.
  func raster() throws(ImageError) -> Raster {
    let (channels, format): (Raster.Channels, spng_format) =
      hasAlpha ? (.rgba, SPNG_FMT_RGBA8) : isGrey && header.bit_depth <= 8 ? (.grey, SPNG_FMT_G8) : (.rgb, SPNG_FMT_RGB8)
    let raster = try Raster(width: Int(header.width), height: Int(header.height), channels: channels) { target throws(ImageError) in
      guard spng_decode_image(context, target.baseAddress, target.count, Int32(format.rawValue), Int32(SPNG_DECODE_TRNS.rawValue)) == 0
      else { throw .undecodable }
    }
    return channels == .rgb && isGrey ? raster.narrowed(isGrey: true, isOpaque: true) : raster
  }

  /// Red, green, blue and alpha at 16 bits each, in the order of this machine's bytes.
  func deepPixels() throws(ImageError) -> [UInt8] {
    try Raster.bytes(count: Int(header.width) * Int(header.height) * 8) { target throws(ImageError) in
      guard
        spng_decode_image(
          context, target.baseAddress, target.count, Int32(SPNG_FMT_RGBA16.rawValue), Int32(SPNG_DECODE_TRNS.rawValue)) == 0
      else { throw .undecodable }
    }
  }

  /// The content of iCCP.
  var profile: [UInt8]? {
    var chunk = spng_iccp()
    guard spng_get_iccp(context, &chunk) == 0 else { return nil }
    return Array(UnsafeRawBufferPointer(start: chunk.profile, count: chunk.profile_len))
  }

  var saysSRGB: Bool {
    var intent: UInt8 = 0
    return spng_get_srgb(context, &intent) == 0
  }

  /// gAMA: the exponent by which light was turned into numbers.
  var gamma: Double? {
    var gamma = 0.0
    return spng_get_gama(context, &gamma) == 0 && gamma > 0 ? gamma : nil
  }

  /// cHRM.
  var chromaticities: spng_chrm? {
    var chunk = spng_chrm()
    return spng_get_chrm(context, &chunk) == 0 ? chunk : nil
  }
}

extension Raster {
  /// The same with no more channels than it has use for.
  ///
  /// - Parameters:
  ///   - isGrey: whether it is known to have no colours.
  ///   - isOpaque: whether it is known to be opaque.
  func narrowed(isGrey: Bool, isOpaque: Bool) -> Raster {
    let size = channels.rawValue
    guard isOpaque, channels != .grey, isGrey || channels == .rgba else { return self }
    let kept: Channels = isGrey ? .grey : .rgb
    return Raster(width: width, height: height, channels: kept) { target in
      var write = 0
      for read in stride(from: 0, to: pixels.count, by: size) {
        for channel in 0..<kept.rawValue { target[write + channel] = pixels[read + channel] }
        write += kept.rawValue
      }
    }
  }
}
