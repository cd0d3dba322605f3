// Looks at the lengths in a stream of parameters before libfcgi does: it adds two of them up in 32 bits and allocates what comes out.

/// Follows the names and values of FCGI_PARAMS, in whatever pieces they come (FastCGI 1.0, section 3.4).
struct PairScanner: Sendable {
  /// Of a name and its value, in bytes, what is still to come.
  private var contentLeft = 0
  /// Of a length of four bytes, the bytes that are still to come.
  private var lengthBytesLeft = 0
  private var length = 0
  /// The name's length, once it is known and the value's is not.
  private var nameLength: Int?
  private let limit: Int

  /// - Parameter limit: the longest name, and the longest value, in bytes.
  init(limit: Int) { self.limit = limit }

  /// The stream may end here.
  var isBetweenPairs: Bool { contentLeft == 0 && lengthBytesLeft == 0 && nameLength == nil }

  /// - Parameter bytes: what follows the bytes of the last call.
  /// - Returns: false for a length beyond the limit.
  mutating func scan(_ bytes: ArraySlice<UInt8>) -> Bool {
    var rest = bytes
    while true {
      let skipped = min(contentLeft, rest.count)
      contentLeft -= skipped
      rest = rest.dropFirst(skipped)
      guard let byte = rest.popFirst() else { return true }
      if lengthBytesLeft > 0 {
        length = length << 8 | Int(byte)
        lengthBytesLeft -= 1
      } else {
        length = Int(byte & 0x7f)
        lengthBytesLeft = byte < 0x80 ? 0 : 3
      }
      if lengthBytesLeft == 0, !takeLength() { return false }
    }
  }

  private mutating func takeLength() -> Bool {
    guard length <= limit else { return false }
    if let name = nameLength {
      contentLeft = name + length
      nameLength = nil
    } else {
      nameLength = length
    }
    return true
  }
}
