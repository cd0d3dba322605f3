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

  @Test("a tag that was changed on the way is known as such")
  func altered() {
    let text = EntityTag(version: 36, of: Self.text).text
    let inner = text.dropFirst().dropLast()
    for field in ["W/\(text)", "\"\(inner)-gzip\"", "W/\"\(inner)-gzip\"", "\"x\",\tW/\(text)", "\"\(inner);gzip\"", "\"\(inner)-br\""] {
      #expect(TagCondition.hasAlteredTag(field), "\(field)")
    }
    for field in ["*", "", text, "\(text), \(text)", "\"x\"", "W/\"x\"", "\"x-gzip\"", "nonsense", "\"", "W/", "\"0-0\""] {
      #expect(!TagCondition.hasAlteredTag(field), "\(field)")
    }
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
