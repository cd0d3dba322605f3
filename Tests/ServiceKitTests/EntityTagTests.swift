import EventLoop
import ServiceKit
import TestSupport
import Testing

@Suite("entity tags")
struct EntityTagTests {
  private static let text = Array("{\"id\":7,\"title\":\"A title\",\"like_count\":12}".utf8)

  @Test("a tag is a strong one in quotation marks, and is read back")
  func format() {
    let tag = EntityTag(version: 845_000_000_000_000, of: Self.text)
    #expect(tag.text.hasPrefix("\"") && tag.text.hasSuffix("\"") && tag.text.dropFirst().dropLast().allSatisfy { $0.isASCII && $0 != "\"" })
    #expect(EntityTag(tag.text.dropFirst().dropLast()) == tag)
    for text in ["", "-", "1", "1-", "-1", "-1-1", "1-2-3", "!-1", "1-zzzzzzzzzzzzzz"] { #expect(EntityTag(text) == nil, "\(text)") }
  }

  @Test("every change of a byte or of the length changes the tag")
  func digest() {
    var seen: Set<String> = [EntityTag(version: 0, of: Self.text).text]
    for place in Self.text.indices {
      for bit in 0..<8 {
        var changed = Self.text
        changed[place] ^= 1 << bit
        #expect(seen.insert(EntityTag(version: 0, of: changed).text).inserted)
      }
      #expect(seen.insert(EntityTag(version: 0, of: Array(Self.text[..<place])).text).inserted)
    }
    #expect(seen.insert(EntityTag(version: 0, of: Self.text + [0]).text).inserted)
    #expect(seen.insert(EntityTag(version: 1, of: Self.text).text).inserted)
  }

  @Test("a condition is a star or a list of tags, of which those that are not ours match nothing")
  func conditions() {
    let (a, b) = (EntityTag(version: 1, of: [1]), EntityTag(version: 2, of: [2]))
    func tags(_ field: String, weakToo: Bool = true) -> [EntityTag]? {
      if case .of(let tags) = TagCondition(field, weakToo: weakToo) { tags } else { nil }
    }
    #expect(tags("*") == nil)
    #expect(tags(a.text) == [a])
    #expect(tags("\(a.text),\(b.text)") == [a, b])
    #expect(tags("W/\(a.text) , \"x,y\", \"\",\t\(b.text)") == [a, b])
    #expect(tags("W/\(a.text), \(b.text)", weakToo: false) == [b])
    for field in ["", "\"", "\"\"\"", "W/", "**", "\"unclosed", a.text.replacing("\"", with: "")] { #expect(tags(field) == [], "\(field)") }
  }
}

@Suite("positions in a list by time")
struct TimedCursorTests {
  @Test("a cursor gives back the position that it was made of, and nothing else is one")
  func cursors() {
    for position in [
      TimedPosition(time: Timestamp(microseconds: 0), id: 1), TimedPosition(time: Timestamp(microseconds: -1), id: .max),
      TimedPosition(time: Timestamp(microseconds: Timestamp.storable.lowerBound), id: 256),
      TimedPosition(time: Timestamp(microseconds: Timestamp.storable.upperBound), id: 256),
    ] {
      #expect(Cursor.decode(Cursor.encode(position), as: TimedPosition.self) == position)
    }
    for text in ["", "AQ", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAD__________w", "AAAAAAAAAAAAAAAAAAAAAAAA", "!!!!!!!!!!!!!!!!!!!!!!"] {
      #expect(Cursor.decode(text, as: TimedPosition.self) == nil, "\(text)")
    }
    // Times that the database does not take.
    for time in [.min, Timestamp.storable.lowerBound - 1, Timestamp.storable.upperBound + 1, .max] {
      #expect(Cursor.decode(Cursor.encode(TimedPosition(time: Timestamp(microseconds: time), id: 1)), as: TimedPosition.self) == nil)
    }
  }
}
