import ServiceKit
import Testing

@Suite("texts that can be seen")
struct VisibleTextTests {
  @Test("a text of nothing but blanks, controls, zero-width and lone marks shows nothing")
  func blank() {
    let invisible: [Unicode.Scalar] = [
      " ", "\u{a0}", "\u{3000}", "\u{200b}", "\u{200d}", "\u{feff}", "\u{2060}", "\u{ad}", "\u{301}", "\u{903}", "\u{20dd}",
      "\u{fe0f}", "\u{3164}", "\u{115f}", "\u{ffa0}", "\u{2800}", "\u{e0041}", "\u{1b}", "\u{7f}", "\u{85}", "\u{202e}",
      "\u{2028}", "\u{34f}", "\u{fff9}", "\u{ffff}",
    ]
    for scalar in invisible { #expect(VisibleText.of(String(scalar)).isEmpty, "\(scalar.value)") }
    #expect(VisibleText.of(String(String.UnicodeScalarView(invisible))).isEmpty)
    #expect(VisibleText.of("").isEmpty)
  }

  @Test("one character that shows is enough, and the text stays as it is")
  func visible() {
    for text in ["a", "\u{200b}a\u{301}", "❤️", "👩‍💻", "1️⃣", "🇩🇪", "한", "ع", "…", "\u{1f3fb}", "\u{fffd}", "\u{e000}", "²"] {
      #expect(VisibleText.of(text) == text)
    }
    // It is refused by itself, with a reason of its own.
    #expect(VisibleText.of("\0") == "\0")
  }
}
