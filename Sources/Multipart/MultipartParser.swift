// Cuts a body of multipart/form-data into its parts, piece by piece as it comes. It knows nothing of what the parts are for.

import Glibc

/// A parser of `multipart/form-data` (RFC 7578, over RFC 2046, section 5.1) that takes a body in pieces of any length and gives the same
/// for every way of cutting it.
///
/// Lines before the first boundary and after the last are passed over, as section 5.1.1 has it: clients send line breaks there. For the
/// rest it is strict: no bare CR or LF in a header, no boundary that something follows on its line. What is not a form is refused rather
/// than guessed at: the next program might guess differently.
public struct MultipartParser {
  public struct Limits: Sendable {
    /// Parts of a form.
    public var parts = 64
    /// Bytes of the headers of one part.
    public var headerLength = 4096
    public init() {}
  }

  public enum Event: Equatable {
    /// A part begins.
    case part(PartHeaders)
    /// Some of its content: a slice of the piece that was fed, unless it only looked like a boundary and came with an earlier one.
    case content(ArraySlice<UInt8>)
    /// It ends here.
    case end
  }

  private let limits: Limits
  /// What comes before every part but the first: CR LF and the boundary with its dashes.
  private let delimiter: [UInt8]
  private var state = State.start
  /// How much of the delimiter the last bytes were.
  private var matched: Int
  /// How much of that belongs to what came before: the beginning of the body, or the blank line that ends a part's headers, stands for the
  /// delimiter's line break.
  private var borrowed: Int
  /// The headers of the part that has begun.
  private var header: [UInt8] = []
  private var parts = 0

  private enum State {
    /// Before anything but blanks, line breaks of whatever kind, and a byte order mark.
    case start
    /// Before the first boundary.
    case preamble
    /// After a boundary: blanks and a line break, or two dashes.
    case afterBoundary, padding, lineFeed, secondDash
    case headers
    case content
    /// After the last boundary: blanks, and nothing that counts after a line break.
    case closed, epilogue
  }

  /// - Parameter boundary: without its two dashes, as `Boundary` takes it from a Content-Type.
  public init(boundary: Boundary, limits: Limits = Limits()) {
    self.limits = limits
    delimiter = Array("\r\n--".utf8) + boundary.bytes
    matched = 2
    borrowed = 2
  }

  /// Takes the next piece of the body.
  ///
  /// - Parameter handle: called for each event in it, in order.
  /// - Throws: what is wrong with the body, or what `handle` throws. Nothing may be fed afterwards.
  public mutating func feed(
    _ bytes: ArraySlice<UInt8>, _ handle: (Event) throws(MultipartError) -> Void
  ) throws(MultipartError) {
    var place = bytes.startIndex
    while place < bytes.endIndex {
      switch state {
      case .start:
        if Self.isNothing(bytes[place]) { place += 1 } else { state = .preamble }
      case .preamble, .content: place = try takeContent(bytes, from: place, handle)
      case .epilogue: return
      default:
        try take(bytes[place], handle)
        place += 1
      }
    }
  }

  /// Says that the body has ended.
  ///
  /// - Throws: if the last boundary has not come.
  public func finish() throws(MultipartError) {
    switch state {
    case .closed, .epilogue: break
    case .preamble where borrowed == 0: throw .noBoundary
    default: throw .endsEarly
    }
  }

  private mutating func take(_ byte: UInt8, _ handle: (Event) throws(MultipartError) -> Void) throws(MultipartError) {
    switch state {
    case .afterBoundary where byte == UInt8(ascii: "-"): state = .secondDash
    case .afterBoundary, .padding:
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"): state = .padding
      case UInt8(ascii: "\r"): state = .lineFeed
      default: throw .brokenBoundary
      }
    case .lineFeed:
      guard byte == UInt8(ascii: "\n") else { throw .brokenBoundary }
      parts += 1
      guard parts <= limits.parts else { throw .tooManyParts }
      header.removeAll(keepingCapacity: true)
      state = .headers
    case .secondDash:
      guard byte == UInt8(ascii: "-") else { throw .brokenBoundary }
      state = .closed
    case .headers: try takeHeader(byte, handle)
    case .closed:
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"): break
      case UInt8(ascii: "\r"), UInt8(ascii: "\n"): state = .epilogue
      default: throw .goesOn
      }
    case .start, .preamble, .content, .epilogue: break
    }
  }

  /// A boundary that some program's line feed or byte order mark precedes is the first one all the same: taken for a line of the preamble,
  /// its part would be lost without a word.
  private static func isNothing(_ byte: UInt8) -> Bool { [0x0a, 0x0d, 0x20, 0x09, 0xef, 0xbb, 0xbf].contains(byte) }

  private mutating func takeHeader(_ byte: UInt8, _ handle: (Event) throws(MultipartError) -> Void) throws(MultipartError) {
    guard header.count < limits.headerLength else { throw .headersTooLong }
    header.append(byte)
    let isBlank = header.elementsEqual([13, 10])
    guard isBlank || header.suffix(4).elementsEqual([13, 10, 13, 10]) else { return }
    try handle(.part(try PartHeaders(parsing: isBlank ? [] : header.dropLast(4))))
    // A part may have no content at all, not even an empty one (section 5.1.1): its boundary follows at once.
    matched = 2
    borrowed = 2
    state = .content
  }

  /// Content, or lines before the first boundary, up to the next delimiter or to the end of the piece. A CR is at the beginning of a
  /// delimiter and nowhere else in it, so where one fails to go on only the byte at hand can begin another.
  ///
  /// - Returns: where to go on.
  private mutating func takeContent(
    _ bytes: ArraySlice<UInt8>, from start: Int, _ handle: (Event) throws(MultipartError) -> Void
  ) throws(MultipartError) -> Int {
    let isContent = state == .content
    var place = start
    /// How much of the delimiter came with earlier pieces.
    var earlier = matched
    while place < bytes.endIndex {
      if matched == 0 {
        guard let next = Self.indexOfCarriageReturn(in: bytes, from: place) else {
          place = bytes.endIndex
          break
        }
        place = next + 1
        matched = 1
      } else if bytes[place] == delimiter[matched] {
        place += 1
        matched += 1
        guard matched == delimiter.count else { continue }
        let end = place - (matched - earlier)
        if isContent {
          if end > start { try handle(.content(bytes[start..<end])) }
          try handle(.end)
        }
        state = .afterBoundary
        return place
      } else {
        if isContent, earlier > borrowed { try handle(.content(delimiter[borrowed..<earlier])) }
        earlier = 0
        borrowed = 0
        matched = 0
      }
    }
    let end = place - (matched - earlier)
    if isContent, end > start { try handle(.content(bytes[start..<end])) }
    return place
  }

  private static func indexOfCarriageReturn(in bytes: ArraySlice<UInt8>, from start: Int) -> Int? {
    bytes[start...].withUnsafeBytes { buffer in
      guard let first = buffer.baseAddress, let found = memchr(first, 13, buffer.count) else { return nil }
      return start + (UnsafeRawPointer(found) - first)
    }
  }
}

/// Why a body is not multipart/form-data.
public enum MultipartError: Error, Equatable, CustomStringConvertible {
  /// The boundary is nowhere in it.
  case noBoundary
  /// Something other than a line break or two dashes follows a boundary.
  case brokenBoundary
  case endsEarly
  /// Something follows the last boundary on its line.
  case goesOn
  case tooManyParts
  case headersTooLong
  /// A part's headers are not those of a form.
  case brokenHeaders(String)
  /// A part that cannot be understood: an encoding, bytes that are no text.
  case unsupported(String)

  public var description: String {
    switch self {
    case .noBoundary: "the boundary is nowhere in the body"
    case .brokenBoundary: "something follows a boundary on its line"
    case .endsEarly: "the body ends before its last boundary"
    case .goesOn: "something follows the last boundary on its line"
    case .tooManyParts: "there are too many parts"
    case .headersTooLong: "the headers of a part are too long"
    case .brokenHeaders(let what): what
    case .unsupported(let what): what
    }
  }
}
