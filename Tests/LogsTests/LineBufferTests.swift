import Logs
import Testing

@Suite("lines on their way to a file")
final class LineBufferTests {
  var buffer = LineBuffer(capacity: 2 * LineBuffer.longestLine) { "dropped \($0)" }

  var text: String { String(decoding: buffer.waiting, as: UTF8.self) }

  func append(_ text: String) { buffer.append(Array(text.utf8)[...]) }

  @Test("a line waits for its end, and the end of the input is one")
  func wholeLines() {
    append("one\ntw")
    #expect(text == "one\n")
    append("o\nthree")
    #expect(text == "one\ntwo\n")
    buffer.endLine()
    buffer.endLine()
    #expect(text == "one\ntwo\nthree\n")
  }

  @Test("a part that is written is forgotten, and the rest is written next")
  func parts() {
    append("one\ntwo\n")
    buffer.remove(2)
    #expect(text == "e\ntwo\n")
    buffer.remove(6)
    #expect(text.isEmpty)
  }

  @Test("a line without an end is cut")
  func longLine() {
    append(String(repeating: "x", count: LineBuffer.longestLine + 2))
    #expect(buffer.waiting.count == LineBuffer.longestLine + 1)
    append("\n")
    #expect(text.hasSuffix("x\nxx\n"))
  }

  @Test("lines that do not fit are counted, and one line tells of them where they would have been")
  func dropping() {
    let line = String(repeating: "x", count: 999) + "\n"
    var taken = 0
    while buffer.dropped == 0 {
      append(line)
      taken += 1
    }
    append("a\nb\n")
    #expect(buffer.dropped == 3)
    #expect(buffer.waiting.count == (taken - 1) * 1000)
    buffer.remove(1000)
    #expect(buffer.dropped == 3, "there is hardly any room yet")
    buffer.remove(buffer.waiting.count)
    append("next\n")
    #expect(text == "dropped 3\nnext\n")
    #expect(buffer.dropped == 0)
  }

  @Test("however much comes, no more waits than fits")
  func bound() {
    for _ in 0..<100 { append(String(repeating: "x", count: 70_000) + "\n") }
    #expect(buffer.waiting.count <= 2 * LineBuffer.longestLine)
  }
}
