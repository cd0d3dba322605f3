// Reading a file's structure from front to back.

import Glibc

/// A place in a file's bytes. To go beyond their end throws `.broken`.
struct ByteWalk {
  private let bytes: ArraySlice<UInt8>
  private(set) var place: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    place = bytes.startIndex
  }

  var rest: ArraySlice<UInt8> { bytes[place...] }
  var isAtEnd: Bool { place == bytes.endIndex }
  /// The byte at hand, which is not passed; nil at the end.
  var next: UInt8? { isAtEnd ? nil : bytes[place] }

  mutating func skip(_ count: Int) throws(ImageError) {
    guard count >= 0, count <= bytes.endIndex - place else { throw .broken }
    place += count
  }

  mutating func take(_ count: Int) throws(ImageError) -> ArraySlice<UInt8> {
    let start = place
    try skip(count)
    return bytes[start..<place]
  }

  /// All from an earlier place to this one.
  func passed(since start: Int) -> ArraySlice<UInt8> { bytes[start..<place] }

  mutating func byte() throws(ImageError) -> UInt8 {
    guard place < bytes.endIndex else { throw .broken }
    defer { place += 1 }
    return bytes[place]
  }

  mutating func bigEndian(_ count: Int) throws(ImageError) -> Int { try take(count).reduce(0) { $0 << 8 | Int($1) } }
  mutating func littleEndian(_ count: Int) throws(ImageError) -> Int { try take(count).reversed().reduce(0) { $0 << 8 | Int($1) } }

  /// To the next byte of this value, which is not passed.
  ///
  /// - Returns: false, at the end, if there is none.
  mutating func skip(to value: UInt8) -> Bool {
    let start = place
    let found: Int? = rest.withUnsafeBytes { buffer in
      guard let first = buffer.baseAddress, let found = memchr(first, Int32(value), buffer.count) else { return nil }
      return start + (UnsafeRawPointer(found) - first)
    }
    place = found ?? bytes.endIndex
    return found != nil
  }
}
