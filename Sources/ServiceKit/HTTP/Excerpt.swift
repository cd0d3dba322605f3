// What an error repeats of the input: enough to be recognised, and never as much as a client can send.

/// A value that was sent, cut if it is long.
struct Excerpt: Sendable {
  /// In bytes of UTF-8.
  static let limit = 200

  /// The value itself, or the beginning of the text that it is; of an object or an array the beginning of its JSON.
  let value: JSONValue
  /// How many bytes all of it has, if `value` is not all of it.
  let length: Int?

  init(of sent: JSONValue) {
    switch sent {
    case .string(let text) where text.utf8.count > Self.limit: self.init(beginning: text.utf8)
    case .array, .object:
      // Numbers that were read are finite: there is nothing that cannot be written.
      if let json = try? JSONWriter.encode(sent), json.count > Self.limit {
        self.init(beginning: json)
      } else {
        self.init(value: sent, length: nil)
      }
    default: self.init(value: sent, length: nil)
    }
  }

  private init(value: JSONValue, length: Int?) {
    self.value = value
    self.length = length
  }

  private init(beginning text: some BidirectionalCollection<UInt8>) {
    var end = text.index(text.startIndex, offsetBy: Self.limit)
    // Not within a character: its second and further bytes are 10xxxxxx.
    while text[end] & 0xc0 == 0x80, end > text.startIndex { text.formIndex(before: &end) }
    self.init(value: .string(String(decoding: text[..<end], as: UTF8.self)), length: text.count)
  }
}
