// Names of files as other people's machines have them, made fit to be shown.

/// What is kept of the name that a sender gives a file. It is only ever shown: no file of ours is called by it.
enum FileName {
  /// In characters (Unicode scalar values).
  private static let limit = 255

  /// The last part of a path, without characters that show nothing, or that change how what is around them is shown: controls, line and
  /// paragraph separators, formats like the override of the writing direction, with which `gnp.exe` reads as `exe.png` (Unicode Technical
  /// Report 36, section 2.5).
  ///
  /// - Returns: nil if nothing is left but dots and blanks.
  static func shown(_ sent: String) -> String? {
    let last = sent.unicodeScalars.split { $0 == "/" || $0 == "\\" }.last ?? ""[...].unicodeScalars
    var kept = String.UnicodeScalarView()
    var place = last.startIndex
    while place < last.endIndex, kept.count < limit {
      let scalar = last[place]
      last.formIndex(after: &place)
      if isShown(scalar) || isJoiner(scalar) && joins(kept.last, last[place...].first) { kept.append(scalar) }
    }
    let name = Input.trimmed(String(kept))
    return name.unicodeScalars.allSatisfy { $0 == "." || $0.properties.isWhitespace } ? nil : name
  }

  private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: false
    default: isVariationSelector(scalar) || !scalar.properties.isDefaultIgnorableCodePoint && !scalar.properties.isNoncharacterCodePoint
    }
  }

  /// They choose between a sign's shapes, the coloured one among them.
  private static func isVariationSelector(_ scalar: Unicode.Scalar) -> Bool { ("\u{fe00}"..."\u{fe0f}").contains(scalar) }

  /// ZERO WIDTH NON-JOINER and JOINER.
  private static func isJoiner(_ scalar: Unicode.Scalar) -> Bool { scalar == "\u{200c}" || scalar == "\u{200d}" }

  /// Whether a joiner between these can be seen: Persian and Indic words and many emoji have one, Latin letters never.
  private static func joins(_ before: Unicode.Scalar?, _ after: Unicode.Scalar?) -> Bool {
    guard let before, let after else { return false }
    return !before.isASCII && !after.isASCII && !isJoiner(before) && isShown(after)
  }
}
