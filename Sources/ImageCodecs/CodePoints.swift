// Colours by numbers that stand for them (ITU-T H.273), which PNG's cICP has.

/// Chromaticities x and y (CIE 1931).
private struct Primaries {
  typealias Place = (Double, Double)

  let red: Place
  let green: Place
  let blue: Place
  var white: Place = (0.3127, 0.329)

  /// H.273, table 2; nil for numbers without a meaning, and for those that are no colours that lights could have.
  static func named(_ number: UInt8) -> Primaries? {
    switch number {
    case 1: Primaries(red: (0.64, 0.33), green: (0.3, 0.6), blue: (0.15, 0.06))
    case 4: Primaries(red: (0.67, 0.33), green: (0.21, 0.71), blue: (0.14, 0.08), white: (0.31, 0.316))
    case 5: Primaries(red: (0.64, 0.33), green: (0.29, 0.6), blue: (0.15, 0.06))
    case 6, 7: Primaries(red: (0.63, 0.34), green: (0.31, 0.595), blue: (0.155, 0.07))
    case 8: Primaries(red: (0.681, 0.319), green: (0.243, 0.692), blue: (0.145, 0.049), white: (0.31, 0.316))
    case 9: Primaries(red: (0.708, 0.292), green: (0.17, 0.797), blue: (0.131, 0.046))
    case 11: Primaries(red: (0.68, 0.32), green: (0.265, 0.69), blue: (0.15, 0.06), white: (0.314, 0.351))
    case 12: Primaries(red: (0.68, 0.32), green: (0.265, 0.69), blue: (0.15, 0.06))
    case 22: Primaries(red: (0.63, 0.34), green: (0.295, 0.605), blue: (0.155, 0.077))
    default: nil
    }
  }
}

extension ToneCurve {
  /// H.273, table 3, as displays have it, and browsers.
  ///
  /// - Returns: nil for numbers without a meaning, and for the two of `HighRange`.
  fileprivate static func named(_ number: UInt8) -> ToneCurve? {
    switch number {
    // Cameras have a curve of their own, which a television's (ITU-R BT.1886) does not undo.
    case 1, 6, 11, 14, 15: .power(2.4)
    case 4: .power(2.2)
    case 5: .power(2.8)
    case 7: .studio
    case 8: .power(1)
    case 13: .sRGB
    case 17: .cinema
    default: nil
    }
  }
}

extension Meaning {
  /// - Parameter codePoints: primaries, transfer function, matrix and range. nil where one of them has no meaning here, and for what is no
  ///   picture of red, green and blue with all numbers in use.
  convenience init?(codePoints: [UInt8]) {
    guard codePoints.count == 4, codePoints[2] == 0, codePoints[3] == 1, let curve = ToneCurve.named(codePoints[1]),
      let primaries = Primaries.named(codePoints[0])
    else { return nil }
    self.init(white: primaries.white, red: primaries.red, green: primaries.green, blue: primaries.blue, curve: curve)
  }
}
