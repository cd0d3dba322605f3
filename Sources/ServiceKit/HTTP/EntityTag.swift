// Entity tags: a client that has something already need not get it again, and does not change what it has not seen.

import EventLoop
import FastCGI

/// The tag of what is sent of a thing that can be edited (RFC 9110, section 8.8.3), a strong one: the version of what was written,
/// and a digest of all that is sent.
///
/// A reader's cache asks for the whole, with counters and all (`If-None-Match`). Whoever edits asks for the version alone
/// (`If-Match`): that somebody liked the thing meanwhile is no reason to refuse an edit.
package struct EntityTag: Equatable {
  package let version: Int64
  package let digest: UInt64

  /// - Parameters:
  ///   - version: grows with every edit.
  ///   - body: what is sent.
  package init(version: Int64, of body: [UInt8]) {
    self.version = version
    digest = Self.digest(of: body)
  }

  /// Without the quotation marks.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let version = Int64(parts[0], radix: 36), version >= 0, let digest = UInt64(parts[1], radix: 36) else {
      return nil
    }
    self.version = version
    self.digest = digest
  }

  package var text: String { "\"\(String(version, radix: 36))-\(String(digest, radix: 36))\"" }

  /// 64 bits, for equality and nothing else: whoever finds another text of the same digest deceives only their own cache. Each word
  /// goes through steps that can be undone, so texts that differ in one word never share a digest.
  private static func digest(of bytes: [UInt8]) -> UInt64 {
    bytes.withUnsafeBytes { bytes in
      var hash: UInt64 = 0
      func add(_ word: UInt64) {
        hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 29
      }
      add(UInt64(bytes.count))
      let whole = bytes.count & ~7
      for offset in stride(from: 0, to: whole, by: 8) {
        add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      }
      if whole < bytes.count { add(bytes[whole...].reversed().reduce(0) { $0 << 8 | UInt64($1) }) }
      return hash
    }
  }
}

/// Which entities a conditional request names (RFC 9110, sections 13.1.1 and 13.1.2).
package enum TagCondition {
  /// `*`: whichever there is.
  case any
  /// These. Tags that are not ours are not among them: they match nothing.
  case of([EntityTag])

  /// - Parameters:
  ///   - field: the header's value: `*`, or entity tags with commas between.
  ///   - weakToo: whether a tag that is marked as weak counts; for `If-Match` it does not (section 8.8.3.2).
  package init(_ field: String, weakToo: Bool) {
    guard field != "*" else {
      self = .any
      return
    }
    var tags: [EntityTag] = []
    var rest = field[...]
    while let opening = rest.firstIndex(of: "\"") {
      let isWeak = rest[..<opening].hasSuffix("W/")
      let text = rest[rest.index(after: opening)...].prefix { $0 != "\"" }
      if weakToo || !isWeak, let tag = EntityTag(text) { tags.append(tag) }
      rest = rest[text.endIndex...].dropFirst()
    }
    self = .of(tags)
  }

  /// Whether a header's value has a tag of ours that something on the way has changed, so that it cannot match: marked it as weak, or put the
  /// name of a compression behind it.
  package static func hasAlteredTag(_ field: String) -> Bool {
    field.split(separator: ",").contains { element in
      let element = element.drop { $0 == " " || $0 == "\t" }
      let isWeak = element.hasPrefix("W/")
      guard let opening = element.firstIndex(of: "\"") else { return false }
      let text = element[element.index(after: opening)...].prefix { $0 != "\"" }
      let end = text.lastIndex { $0 == "-" || $0 == ";" || $0 == ":" }
      return isWeak && EntityTag(text) != nil || end.map { EntityTag(text[..<$0]) != nil } ?? false
    }
  }
}

extension Reply {
  /// A thing that can be edited, with its entity tag; 304 without a body if the client has it as it is now.
  ///
  /// - Parameter version: of what was written; grows with every edit.
  public static func json(_ value: some Encodable, version: Int64, _ request: Request) -> Reply {
    var reply = Reply.json(value)
    reply.tag(version: version, request)
    return reply
  }

  /// Tags the answer with what is in it, or says that the client has it already.
  mutating func tag(version: Int64, _ request: Request) {
    let tag = EntityTag(version: version, of: response.body)
    response.headers.append(("ETag", tag.text))
    switch request.header("HTTP_IF_NONE_MATCH").map({ TagCondition($0, weakToo: true) }) {
    case .any: becomeNotModified()
    case .of(let tags) where tags.contains(tag): becomeNotModified()
    case .of, nil: break
    }
  }

  /// The length of the body is told all the same, which is that of the answer with status 200 (RFC 9110, section 8.6).
  private mutating func becomeNotModified() {
    response.status = 304
    response.omitsBody = true
  }
}

extension Request {
  /// The versions of which `If-Match` names one; nil if it names none in particular: every version will do.
  public var expectedVersions: [Int64]? {
    switch header("HTTP_IF_MATCH").map({ TagCondition($0, weakToo: false) }) {
    case .of(let tags): tags.map(\.version)
    case .any, nil: nil
    }
  }
}

extension Context {
  /// 412 for a change that depends on `If-Match`.
  ///
  /// - Parameter text: what is said if the thing has changed since. Of tags that were changed on the way it is not known.
  public func preconditionFailed(_ text: String) -> APIError {
    guard let field = request.parameter("HTTP_IF_MATCH"), TagCondition.hasAlteredTag(field) else { return .preconditionFailed(text) }
    return .preconditionFailed(
      "If-Match needs the entity tag as it was sent: a weak one, or one that a proxy has changed for compressing, matches nothing")
  }
}
