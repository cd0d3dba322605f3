/// What can be seen of a text.
package enum VisibleText {
  /// The text, or an empty one if it shows nothing: if it has only blanks, control and format characters (zero-width ones among them),
  /// fillers, and marks without a character to stand on.
  package static func of(_ text: String) -> String {
    // A NUL is refused by itself.
    text.unicodeScalars.contains { shows($0) || $0 == "\0" } ? text : ""
  }

  /// What is wrong with a text that is to be one line; nil if nothing is. Of what it shows, a control character can make another thing on
  /// a terminal, and a line break another one in a list of lines.
  package static func lineFlaw(in text: String) -> FieldFlaw? {
    let isBroken = text.unicodeScalars.contains { scalar in
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator: true
      default: false
      }
    }
    return isBroken ? .multilineText : nil
  }

  private static func shows(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.value > 0x20 && scalar.value < 0x7f }
    let properties = scalar.properties
    switch properties.generalCategory {
    case .control, .format, .surrogate, .spaceSeparator, .lineSeparator, .paragraphSeparator: return false
    case .nonspacingMark, .spacingMark, .enclosingMark: return false
    // The braille pattern of no dots is a symbol by its category.
    default: return !properties.isDefaultIgnorableCodePoint && !properties.isNoncharacterCodePoint && scalar.value != 0x2800
    }
  }
}
