// From the colours that a file means to sRGB, by Little CMS. As browsers do: a profile that does not fit the picture counts for nothing,
// and numbers of which nothing is said are sRGB.

import CLittleCMS
import CSPNG
import Glibc

/// Which colours the numbers of a picture mean, as Little CMS knows it.
final class Meaning {
  fileprivate let profile: cmsHPROFILE
  /// Those that were asked for: an animation has one for all its frames.
  private var transforms: [Raster.Channels: Transform?] = [:]

  private init?(_ profile: cmsHPROFILE?) {
    guard let profile else { return nil }
    self.profile = profile
  }

  deinit { cmsCloseProfile(profile) }

  /// - Parameter bytes: an ICC profile; nil and one that cannot be read give nil.
  convenience init?(profile bytes: [UInt8]?) {
    guard let bytes, bytes.count >= 128 else { return nil }
    self.init(cmsOpenProfileFromMem(bytes, cmsUInt32Number(bytes.count)))
  }

  /// - Parameters:
  ///   - white, red, green, blue: their chromaticities x and y (CIE 1931).
  ///   - curve: from the numbers to light, of Little CMS' parametric types (ICC.1:2010, section 10.16).
  convenience init?(white: (Double, Double), red: (Double, Double), green: (Double, Double), blue: (Double, Double), curve: ToneCurve) {
    var point = cmsCIExyY(x: white.0, y: white.1, Y: 1)
    func vertex(_ place: (Double, Double)) -> cmsCIExyY { cmsCIExyY(x: place.0, y: place.1, Y: 1) }
    var primaries = cmsCIExyYTRIPLE(Red: vertex(red), Green: vertex(green), Blue: vertex(blue))
    guard let built = curve.built else { return nil }
    defer { cmsFreeToneCurve(built) }
    var curves: [OpaquePointer?] = [built, built, built]
    self.init(cmsCreateRGBProfile(&point, &primaries, &curves))
  }

  static var sRGB: Meaning? {
    let profile = cmsCreate_sRGBProfile()
    // Of a version 4 profile Little CMS moves black to black, which browsers do not.
    if let profile { cmsSetProfileVersion(profile, 2.1) }
    return Meaning(profile)
  }

  /// Grey with sRGB's curve.
  static var sGrey: Meaning? {
    guard let curve = ToneCurve.sRGB.built, var white = cmsD50_xyY()?.pointee else { return nil }
    defer { cmsFreeToneCurve(curve) }
    return Meaning(cmsCreateGrayProfile(&white, curve))
  }

  /// From colours of 8 bits to sRGB; nil if they are sRGB.
  fileprivate func transform(of channels: Raster.Channels) -> Transform? {
    if let known = transforms[channels] { return known }
    let layout = channels == .rgba ? chatty_rgba8 : chatty_rgb8
    var transform = Meaning.sRGB.flatMap { Transform(self, layout, $0, layout) }
    if transform?.changesNothing(channels: channels) == true { transform = nil }
    transforms[channels] = .some(transform)
    return transform
  }

  var isGrey: Bool { cmsGetColorSpace(profile) == cmsSigGrayData }
  var isColours: Bool { cmsGetColorSpace(profile) == cmsSigRgbData }
  var isInks: Bool { cmsGetColorSpace(profile) == cmsSigCmykData }
}

/// From numbers to light.
enum ToneCurve {
  case power(Double)
  /// IEC 61966-2-1.
  case sRGB
  /// SMPTE ST 240.
  case studio
  /// SMPTE ST 428-1: of cinemas, which show white less bright than they could.
  case cinema

  fileprivate var built: OpaquePointer? {
    switch self {
    case .power(let exponent): cmsBuildGamma(nil, exponent)
    case .sRGB: cmsBuildParametricToneCurve(nil, 4, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045])
    case .studio: cmsBuildParametricToneCurve(nil, 4, [1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0913])
    case .cinema: cmsBuildParametricToneCurve(nil, 2, [2.6, pow(52.37 / 48, 1 / 2.6), 0])
    }
  }
}

enum Colours {
  // MARK: Pixels to sRGB

  /// Whether the numbers of a picture of red, green and blue are those of sRGB already.
  static func leaveAsTheyAre(_ meaning: Meaning?) -> Bool {
    guard let meaning, meaning.isColours else { return true }
    return meaning.transform(of: .rgb) == nil
  }

  static func inSRGB(_ raster: Raster, _ profile: [UInt8]?) -> Raster {
    guard let meaning = Meaning(profile: profile) else { return raster }
    return inSRGB(raster, meaning)
  }

  static func inSRGB(_ raster: Raster, _ meaning: Meaning) -> Raster {
    if raster.channels == .grey { return greyInSRGB(raster, meaning) }
    guard meaning.isColours, let transform = meaning.transform(of: raster.channels) else { return raster }
    var result = raster
    transform.apply(to: &result.pixels, pixels: raster.width * raster.height)
    return result
  }

  static func greyInSRGB(_ raster: Raster, _ profile: [UInt8]?) -> Raster {
    guard let meaning = Meaning(profile: profile) else { return raster }
    return greyInSRGB(raster, meaning)
  }

  /// A profile of colours fits grey too: it is a colour with three equal numbers.
  private static func greyInSRGB(_ raster: Raster, _ meaning: Meaning) -> Raster {
    if meaning.isColours {
      return inSRGB(raster.withColours(), meaning).narrowed(isGrey: true, isOpaque: true)
    }
    guard meaning.isGrey, let sGrey = Meaning.sGrey, let transform = Transform(meaning, chatty_grey8, sGrey, chatty_grey8) else {
      return raster
    }
    var result = raster
    transform.apply(to: &result.pixels, pixels: raster.width * raster.height)
    return result
  }

  /// Pixels of a picture of 16 bits that are worth the time of an exact transform, some 7 million a second.
  private static let exactPixels = 4_000_000

  /// - Parameter deep: red, green, blue and alpha at 16 bits.
  static func inSRGB(deep: [UInt8], width: Int, height: Int, _ meaning: Meaning) -> Raster {
    guard meaning.isColours, let sRGB = Meaning.sRGB,
      let transform = Transform(meaning, chatty_rgba16, sRGB, chatty_rgba8, isExact: width * height <= exactPixels)
    else {
      return Raster(width: width, height: height, channels: .rgba) { target in
        // The higher byte of each number.
        for place in target.indices { target[place] = deep[place * 2 + 1] }
      }
    }
    return Raster(width: width, height: height, channels: .rgba) { target in transform.apply(deep, to: target, pixels: width * height) }
  }

  /// Printing inks: the fourth is black, and numbers say how much of the paper is seen. Without a profile inks let light through as
  /// filters do, which is what browsers paint.
  static func inksInSRGB(_ pixels: [UInt8], width: Int, height: Int, _ profile: [UInt8]?) -> Raster {
    Raster(width: width, height: height, channels: .rgb) { target in
      if let meaning = Meaning(profile: profile), meaning.isInks, let sRGB = Meaning.sRGB,
        let transform = Transform(meaning, chatty_inks8, sRGB, chatty_rgb8)
      {
        transform.apply(pixels, to: target, pixels: width * height)
        return
      }
      for pixel in 0..<(width * height) {
        let black = Int(pixels[pixel * 4 + 3])
        for channel in 0..<3 { target[pixel * 3 + channel] = UInt8((Int(pixels[pixel * 4 + channel]) * black + 127) / 255) }
      }
    }
  }

  // MARK: What a PNG says

  /// By the first of the chunks that counts (PNG, section 4.3): cICP, iCCP, sRGB, then gAMA with cHRM. nil: sRGB.
  static func meaning(of decoder: PNGDecoder, _ codePoints: [UInt8]?) -> Meaning? {
    if let codePoints, let meaning = Meaning(codePoints: codePoints) { return meaning }
    if let meaning = Meaning(profile: decoder.profile), decoder.isGrey ? meaning.isGrey : meaning.isColours {
      // Pixels of 8 bits that are nothing but grey are one number each; all others are decoded as colours.
      return decoder.isGrey && (decoder.hasAlpha || decoder.header.bit_depth == 16) ? meaning.greyAsColours : meaning
    }
    if decoder.saysSRGB { return nil }
    guard let gamma = decoder.gamma, (0.01...10).contains(gamma) else { return nil }
    let curve = ToneCurve.power(1 / gamma)
    // 1/2.2 is what programs write that mean sRGB.
    let found = decoder.chromaticities
    if found == nil, abs(gamma - 1 / 2.2) < 0.001 { return nil }
    guard let found else {
      return Meaning(white: (0.3127, 0.329), red: (0.64, 0.33), green: (0.3, 0.6), blue: (0.15, 0.06), curve: curve)
    }
    return Meaning(
      white: (found.white_point_x, found.white_point_y), red: (found.red_x, found.red_y), green: (found.green_x, found.green_y),
      blue: (found.blue_x, found.blue_y), curve: curve)
  }
}

extension Meaning {
  /// A grey profile as one of colours that are equal: its curve for each of sRGB's three.
  fileprivate var greyAsColours: Meaning? {
    guard let tag = cmsReadTag(profile, cmsSigGrayTRCTag) else { return nil }
    var white = cmsCIExyY(x: 0.3127, y: 0.329, Y: 1)
    var primaries = cmsCIExyYTRIPLE(
      Red: cmsCIExyY(x: 0.64, y: 0.33, Y: 1), Green: cmsCIExyY(x: 0.3, y: 0.6, Y: 1), Blue: cmsCIExyY(x: 0.15, y: 0.06, Y: 1))
    var curves: [OpaquePointer?] = [OpaquePointer(tag), OpaquePointer(tag), OpaquePointer(tag)]
    return Meaning(cmsCreateRGBProfile(&white, &primaries, &curves))
  }
}

/// A way from numbers of one meaning to those of another.
private final class Transform {
  private let handle: cmsHTRANSFORM

  /// By the perceptual intent: profiles that are tables have one for it, and where they are formulas it is the colorimetric one.
  /// Inks go by the colorimetric intent, which is nearer to what browsers paint (a mean of 3 to 7 of 255 away, and not 5 to 15).
  ///
  /// - Parameter isExact: by the profiles' formulas and not by tables in their place, which of 16 bits are too coarse in the shadows.
  init?(
    _ source: Meaning, _ sourceLayout: cmsUInt32Number, _ target: Meaning, _ targetLayout: cmsUInt32Number, isExact: Bool = false
  ) {
    let intent = source.isInks ? INTENT_RELATIVE_COLORIMETRIC : INTENT_PERCEPTUAL
    guard
      let handle = cmsCreateTransform(
        source.profile, sourceLayout, target.profile, targetLayout, cmsUInt32Number(intent),
        cmsUInt32Number(cmsFLAGS_COPY_ALPHA | cmsFLAGS_NOCACHE | (isExact ? cmsFLAGS_NOOPTIMIZE : 0)))
    else { return nil }
    self.handle = handle
  }

  deinit { cmsDeleteTransform(handle) }

  func apply(to pixels: inout [UInt8], pixels count: Int) {
    pixels.withUnsafeMutableBytes { cmsDoTransform(handle, $0.baseAddress, $0.baseAddress, cmsUInt32Number(count)) }
  }

  func apply(_ source: [UInt8], to target: UnsafeMutableBufferPointer<UInt8>, pixels count: Int) {
    source.withUnsafeBytes { cmsDoTransform(handle, $0.baseAddress, target.baseAddress, cmsUInt32Number(count)) }
  }

  /// Whether it is sRGB already, by what becomes of colours all over it: then numbers stay exactly as they are.
  func changesNothing(channels: Raster.Channels) -> Bool {
    let levels = stride(from: 0, through: 255, by: 17).map { UInt8($0) }
    var colours: [UInt8] = []
    for red in levels {
      for green in levels {
        for blue in levels {
          colours += [red, green, blue]
          if channels == .rgba { colours.append(255) }
        }
      }
    }
    var changed = colours
    apply(to: &changed, pixels: colours.count / channels.rawValue)
    return zip(colours, changed).allSatisfy { abs(Int($0) - Int($1)) <= 1 }
  }
}
