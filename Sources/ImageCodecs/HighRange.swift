// Pictures for screens that are brighter than sRGB's (ITU-R BT.2100), brought to what sRGB can show as Chromium does it.

import Glibc

/// How numbers of a picture stand for light of which sRGB's white (203 cd/m², ITU-R BT.2408) is 1.
struct HighRange {
  private enum Curve: UInt8 {
    case perceptual = 16
    case hybrid = 18
  }

  private let curve: Curve
  /// From the picture's red, green and blue to those of BT.2020, row by row.
  private let matrix: [Float]

  /// - Parameter codePoints: primaries, transfer function, matrix and range of ITU-T H.273; nil for other curves, and for primaries with
  ///   which nobody uses these.
  init?(_ codePoints: [UInt8]) {
    guard codePoints.count == 4, let curve = Curve(rawValue: codePoints[1]), codePoints[2] == 0, codePoints[3] == 1 else { return nil }
    self.curve = curve
    switch codePoints[0] {
    case 1: matrix = [0.6274, 0.3293, 0.0433, 0.0691, 0.9195, 0.0114, 0.0164, 0.0880, 0.8956]
    case 9: matrix = [1, 0, 0, 0, 1, 0, 0, 0, 1]
    case 12: matrix = [0.7538, 0.1986, 0.0476, 0.0457, 0.9418, 0.0125, -0.0012, 0.0176, 0.9836]
    default: return nil
    }
  }

  /// What the numbers mean that `bring` leaves: light, with the primaries of BT.2020.
  static var meaning: Meaning? { Meaning(codePoints: [9, 8, 0, 1]) }

  /// - Parameter deep: red, green, blue and alpha at 16 bits, which become numbers of light of which 65,535 is sRGB's white.
  func bring(_ deep: inout [UInt8]) {
    let isHybrid = curve == .hybrid
    let (red, green, blue) = (row(0), row(1), row(2))
    (isHybrid ? Self.hybrid : Self.perceptual).withUnsafeBufferPointer { lights in
      Self.dimming.withUnsafeBufferPointer { dimming in
        deep.withUnsafeMutableBytes { bytes in
          let numbers = bytes.bindMemory(to: UInt16.self)
          for place in stride(from: 0, to: numbers.count - 3, by: 4) {
            var light =
              lights[Int(numbers[place])] * red + lights[Int(numbers[place + 1])] * green + lights[Int(numbers[place + 2])] * blue
            // BT.2100's system gamma for a screen of 1,000 cd/m².
            if isHybrid { light *= powf(max(0, (light * SIMD4(0.2627, 0.678, 0.0593, 0)).sum()), 0.2) * 1000 / 203 }
            let highest = max(light.x, light.y, light.z)
            light *= highest < Self.brightest ? dimming[Int(max(highest, 0) * Self.steps)] : 1 / highest
            light = (light * 65_535 + 0.5).clamped(lowerBound: SIMD4(repeating: 0), upperBound: SIMD4(repeating: 65_535))
            (numbers[place], numbers[place + 1], numbers[place + 2]) = (UInt16(light.x), UInt16(light.y), UInt16(light.z))
          }
        }
      }
    }
  }

  /// So much as one of the picture's colours has of BT.2020's.
  private func row(_ colour: Int) -> SIMD4<Float> { SIMD4(matrix[colour], matrix[3 + colour], matrix[6 + colour], 0) }

  /// PQ.
  private static let perceptual: [Float] = (0..<65_536).map { number in
    let root = pow(Double(number) / 65_535, 1 / 78.84375)
    return Float(pow(max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root), 1 / 0.1593017578125) * 10_000 / 203)
  }

  /// HLG: the light of the scene.
  private static let hybrid: [Float] = (0..<65_536).map { number in
    let signal = Double(number) / 65_535
    return Float(signal <= 0.5 ? signal * signal / 3 : (exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
  }

  /// By how much a pixel is dimmed, by the highest of its three lights in steps: half of all up to sRGB's white is shown, and 1,000 cd/m²
  /// are shown as sRGB's white. Measured.
  private static let dimming: [Float] = (0...Int(brightest * steps)).map { step in
    let light = Float(step) / steps
    for (low, high) in zip(curve, curve.dropFirst()) where light > low.light && light < high.light {
      return (low.shown + (high.shown - low.shown) * (light - low.light) / (high.light - low.light)) / light
    }
    return light <= 1 ? 0.5 : 1 / light
  }

  private static let steps: Float = 4096
  private static let brightest: Float = 5

  private static let curve: [(light: Float, shown: Float)] = [
    (1, 0.5), (1.1, 0.5445), (1.2, 0.5783), (1.32, 0.6114), (1.48, 0.6504), (1.65, 0.6864), (1.85, 0.7224), (2.05, 0.7525),
    (2.3, 0.7881), (2.55, 0.818), (2.85, 0.8473), (3.17, 0.8802), (3.55, 0.9122), (3.93, 0.9401), (4.4, 0.9694), (4.926, 1),
  ]
}
