// JPEG, by libjpeg-turbo's own interface.

import CTurboJPEG
import ImageFiles

enum JPEGCodec {
  /// How much an encoder may lose.
  enum Quality {
    /// Of photographs nobody sees the difference.
    case photograph
    /// Drawings, screenshots and icons, whose edges would get a fringe; they are small.
    case fine
    /// To be looked at briefly.
    case thumbnail

    /// - Parameter hasFineColours: whether it came with colours that are stored as finely as brightness.
    init(_ raster: Raster, hasFineColours: Bool) {
      self = hasFineColours || raster.width * raster.height <= 1_000_000 ? .fine : .photograph
    }

    fileprivate var factor: Int32 {
      switch self {
      case .photograph: 88
      case .fine: 92
      case .thumbnail: 85
      }
    }
    fileprivate var sampling: TJSAMP { self == .fine ? TJSAMP_444 : TJSAMP_420 }
  }

  /// The pixels as they are stored, in sRGB.
  static func decode(_ file: JPEGFile) throws(ImageError) -> Raster {
    let format: TJPF =
      switch file.components {
      case 1: TJPF_GRAY
      case 3: TJPF_RGB
      default: TJPF_CMYK
      }
    let bytes = file.bytes
    guard let decompressor = tjInitDecompress() else { throw .unavailable("no memory for a decoder") }
    defer { tjDestroy(decompressor) }
    let pixels = try Raster.bytes(count: file.width * file.height * file.components) { target throws(ImageError) in
      let status = tjDecompress2(
        decompressor, bytes, UInt(bytes.count), target.baseAddress, Int32(file.width), 0, Int32(file.height), Int32(format.rawValue),
        TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS)
      guard status != 0 else { return }
      // Much that is not as it should be is shown by every browser. But where the file has ended in the middle of its pixels, libjpeg has
      // filled up the rest with grey.
      let isIncomplete = !file.hasEnd && String(cString: tjGetErrorStr2(decompressor)).contains("premature end of data segment")
      guard tjGetErrorCode(decompressor) == Int32(TJERR_WARNING.rawValue), !isIncomplete else { throw .undecodable }
    }
    switch file.components {
    case 1: return Colours.greyInSRGB(Raster(width: file.width, height: file.height, channels: .grey, pixels: pixels), file.profile)
    case 3: return Colours.inSRGB(Raster(width: file.width, height: file.height, channels: .rgb, pixels: pixels), file.profile)
    default: return Colours.inksInSRGB(pixels, width: file.width, height: file.height, file.profile)
    }
  }

  static func encode(_ raster: Raster, _ quality: Quality) throws(ImageError) -> [UInt8] {
    guard let compressor = tjInitCompress() else { throw .unavailable("no memory for an encoder") }
    defer { tjDestroy(compressor) }
    var bytes: UnsafeMutablePointer<UInt8>?
    var length: UInt = 0
    defer { tjFree(bytes) }
    let isGrey = raster.channels == .grey
    let sampling = isGrey ? TJSAMP_GRAY : quality.sampling
    let status = tjCompress2(
      compressor, raster.pixels, Int32(raster.width), 0, Int32(raster.height), Int32((isGrey ? TJPF_GRAY : TJPF_RGB).rawValue), &bytes,
      &length, Int32(sampling.rawValue), quality.factor, TJFLAG_ACCURATEDCT | TJFLAG_PROGRESSIVE)
    guard status == 0, let bytes else { throw .undecodable }
    return Array(UnsafeBufferPointer(start: bytes, count: Int(length)))
  }
}
