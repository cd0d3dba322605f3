// What a client sent, field by field: typed, bounded, and with every wrong field in one answer.

import Crypto
import EventLoop
import Glibc
import Multipart

/// Collects the fields of one request. Each reading function gives a value of its type at once, a meaningless one if the field
/// is wrong; `validate()` then throws everything that was wrong. Nothing read may be used before it.
@Worker
public final class Input {
  let request: Request
  private let takesForms: Bool
  private var errors: [FieldError] = []
  private var bodyState: BodyState = .unread

  private enum BodyState {
    case unread
    case object([String: JSONValue])
    case form(Form)
    /// The body as a whole is wrong: its fields are not asked for one by one.
    case unusable
  }

  init(_ request: Request, takesForms: Bool = false) {
    self.request = request
    self.takesForms = takesForms
  }

  /// - Throws: 422 with every wrong field; before that 413 for a body that is too large, and 415 for one of another type.
  public func validate() throws(APIError) {
    if case .unread = bodyState {
    } else {
      if request.raw.bodyIsTooLarge { throw .tooLarge }
      if request.hasCodedBody { throw .unsupportedContentCoding }
      if !request.hasJSONBody, !takesForms || request.formBoundary == nil { throw .unsupportedMediaType }
    }
    guard errors.isEmpty else { throw APIError(fields: errors) }
  }

  /// SHA-256 of the path and the body, by which a request that is sent again is recognised.
  func fingerprint() -> [UInt8] {
    var hash = SHA256()
    hash.update(data: Array("\(request.path.text)\n".utf8))
    if case .form(let form) = bodyState { form.update(&hash) } else { hash.update(data: request.raw.body) }
    return Array(hash.finalize())
  }

  // MARK: Path and query

  /// A positive 64-bit number in the path.
  public func pathID(_ name: String) -> Int64 {
    id(request.path[name], at: "path", name)
  }

  /// A positive 64-bit number in the query; nil if it is not there.
  public func queryID(_ name: String) -> Int64? {
    request.query[name].map { id($0, at: "query", name) }
  }

  /// A number within `range` in the query.
  public func queryInteger(_ name: String, _ range: ClosedRange<Int64>, default fallback: Int64) -> Int64 {
    guard let text = request.query[name] else { return fallback }
    switch IntegerField.number(text, in: range) {
    case .success(let number): return number
    case .failure(let flaw):
      reject(flaw, "query", name, .string(text))
      return fallback
    }
  }

  /// A text that must be in the query, as it was sent. It may be empty.
  public func queryString(_ name: String) -> String {
    if let text = request.query[name] { return text }
    reject(.missing, "query", name, .null)
    return ""
  }

  /// A text in the query; nil if it is not there.
  public func queryText(_ name: String, _ length: ClosedRange<Int>) -> String? {
    guard let text = request.query[name] else { return nil }
    if let flaw = Self.flaw(in: text, length) { reject(flaw, "query", name, .string(text)) }
    return text
  }

  /// A text that must be in the query.
  public func queryText(_ name: String, required length: ClosedRange<Int>) -> String {
    if let text = queryText(name, length) { return text }
    reject(.missing, "query", name, .null)
    return ""
  }

  private func id(_ text: String, at place: String, _ name: String) -> Int64 {
    switch IntegerField.id(text) {
    case .success(let id): return id
    case .failure(let flaw):
      reject(flaw, place, name, .string(text))
      return 0
    }
  }

  // MARK: Body

  /// For routes whose body may be left out: without one, none of its fields may be asked for.
  public var hasBody: Bool { !request.raw.body.isEmpty }

  /// A text without the white space around it, its lines divided by line feeds: browsers send CR LF in forms, whatever was typed. Empty if
  /// nothing of it can be seen (`VisibleText`).
  ///
  /// - Parameter length: how many characters (Unicode scalar values) it may have then.
  public func text(_ name: String, _ length: ClosedRange<Int>) -> String {
    optionalText(name, length, isRequired: true) ?? ""
  }

  /// As `text`; nil if the field is absent or null.
  public func optionalText(_ name: String, _ length: ClosedRange<Int>) -> String? {
    optionalText(name, length, isRequired: false)
  }

  /// As `text`, without line breaks and control characters.
  public func line(_ name: String, _ length: ClosedRange<Int>) -> String {
    optionalText(name, length, isRequired: true, isLine: true) ?? ""
  }

  /// As `line`; nil if the field is absent or null.
  public func optionalLine(_ name: String, _ length: ClosedRange<Int>) -> String? {
    optionalText(name, length, isRequired: false, isLine: true)
  }

  private func optionalText(_ name: String, _ length: ClosedRange<Int>, isRequired: Bool, isLine: Bool = false) -> String? {
    guard let sent = string(name, isRequired: isRequired) else { return nil }
    let text = VisibleText.of(Self.trimmed(Self.withLineFeeds(sent)))
    let lineFlaw = isLine ? VisibleText.lineFlaw(in: text) : nil
    if let flaw = Self.flaw(in: text, length) ?? lineFlaw { reject(flaw, "body", name, .string(sent)) }
    return text
  }

  /// A string exactly as it was sent.
  ///
  /// - Parameter check: what is wrong with it, nil if nothing is.
  public func string(_ name: String, where check: (String) -> FieldFlaw?) -> String {
    guard let sent = string(name, isRequired: true) else { return "" }
    if let flaw = Self.nulFlaw(in: sent) ?? check(sent) { reject(flaw, "body", name, .string(sent)) }
    return sent
  }

  /// As `string`; nil if the field is absent or null.
  public func optionalString(_ name: String, where check: (String) -> FieldFlaw?) -> String? {
    guard let sent = string(name, isRequired: false) else { return nil }
    if let flaw = Self.nulFlaw(in: sent) ?? check(sent) { reject(flaw, "body", name, .string(sent)) }
    return sent
  }

  /// One of the values of an enumeration.
  public func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, _ type: Choice.Type) -> Choice?
  where Choice.RawValue == String {
    guard let sent = string(name, isRequired: true) else { return nil }
    if let choice = Choice(rawValue: sent) { return choice }
    reject(.literal(Choice.allCases.map(\.rawValue)), "body", name, .string(sent))
    return nil
  }

  /// A file of a form; nil if there is none, or if the body is no form.
  public func file(_ name: String) -> FormFile? {
    readBody()
    guard case .form(let form) = bodyState else { return nil }
    switch form[name] {
    // An empty text is what scripts put where they have no file.
    case .absent, .text(""): return nil
    case .file(let file): return file
    case .text(let text): reject(.value("Expected a file"), "body", name, .string(text))
    case .wrong(let error): reject(.value("\(error)"), "body", name, .null)
    case .several: rejectSeveral(name)
    }
    return nil
  }

  private func string(_ name: String, isRequired: Bool) -> String? {
    readBody()
    switch bodyState {
    case .unread, .unusable: return nil
    case .form(let form):
      switch form[name] {
      case .text(let text): return text
      case .wrong(let error): reject(.value("\(error)"), "body", name, .null)
      case .several: rejectSeveral(name)
      case .absent, .file: if isRequired { reject(.missing, "body", name, .object(form.texts)) }
      }
    case .object(let object):
      switch object[name] {
      case .string(let value)?: return value
      case nil: if isRequired { reject(.missing, "body", name, .object(object)) }
      case .null?: if isRequired { reject(.notString, "body", name, .null) }
      case let other?: reject(.notString, "body", name, other)
      }
    }
    return nil
  }

  /// Which of several parts counts would be a guess.
  private func rejectSeveral(_ name: String) {
    errors.append(FieldError(.value("the form has more than one part \(name)"), "body", nil, .null))
  }

  /// Reads the body if that has not been done, with one error for the whole of it if it is of no use.
  private func readBody() {
    guard case .unread = bodyState else { return }
    bodyState = .unusable
    // What it is not said to be is not parsed; `validate` says so.
    guard !request.raw.bodyIsTooLarge else { return }
    if takesForms, let boundary = request.formBoundary {
      readForm(boundary)
    } else if request.hasJSONBody {
      readJSON()
    }
  }

  private func readForm(_ boundary: Boundary) {
    do throws(MultipartError) {
      bodyState = .form(try Form(request.raw.body, boundary: boundary))
    } catch {
      errors.append(FieldError(.value("\(error)"), "body", nil, .null))
    }
  }

  private func readJSON() {
    guard !request.raw.body.isEmpty else {
      errors.append(FieldError(.missing, "body", nil, .null))
      return
    }
    do throws(JSONReader.Failure) {
      let value = try JSONReader.parse(request.raw.body)
      if case .object(let object) = value {
        bodyState = .object(object)
      } else {
        errors.append(FieldError(.notObject, "body", nil, value))
      }
    } catch {
      let flaw = FieldFlaw(error.reason)
      errors.append(FieldError(type: flaw.type, loc: [.name("body"), .offset(error.offset)], msg: flaw.message, input: .object([:])))
    }
  }

  /// Adds an error to those that `validate` will throw.
  package func reject(_ flaw: FieldFlaw, _ place: String, _ name: String, _ input: JSONValue) {
    errors.append(FieldError(flaw, place, name, input))
  }

  // MARK: Texts

  private static func flaw(in text: String, _ length: ClosedRange<Int>) -> FieldFlaw? {
    if let flaw = nulFlaw(in: text) { return flaw }
    let count = text.unicodeScalars.count
    if count < length.lowerBound { return .tooShort(length.lowerBound) }
    if count > length.upperBound { return .tooLong(length.upperBound) }
    return nil
  }

  /// PostgreSQL keeps every character but this one.
  private static func nulFlaw(in text: String) -> FieldFlaw? {
    text.utf8.contains(0) ? .value("String may not contain the NUL character") : nil
  }

  /// The same text with LF in the place of CR LF and CR, so that a line counts and is stored alike, however it came.
  nonisolated static func withLineFeeds(_ text: String) -> String {
    guard hasCarriageReturn(text) else { return text }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    var isAfterReturn = false
    for byte in text.utf8 {
      if byte != 10 || !isAfterReturn { bytes.append(byte == 13 ? 10 : byte) }
      isAfterReturn = byte == 13
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Nearly no text has one: they are looked for as fast as memory can be read.
  nonisolated private static func hasCarriageReturn(_ text: String) -> Bool {
    text.utf8.withContiguousStorageIfAvailable { bytes in
      guard let first = bytes.baseAddress else { return false }
      return memchr(first, 13, bytes.count) != nil
    } ?? text.utf8.contains(13)
  }

  nonisolated static func trimmed(_ text: String) -> String {
    let scalars = text.unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
      let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
    else { return "" }
    return String(scalars[first...last])
  }
}

/// Whole numbers in a path or a query.
enum IntegerField {
  /// In plain decimal, so that a thing has one address.
  static func id(_ text: String) -> Result<Int64, FieldFlaw> {
    let isPlain = text == "0" || !text.hasPrefix("0") && !text.hasPrefix("+")
    guard isPlain else { return .failure(.unparsableInteger) }
    return parse(text).flatMap { $0 > 0 ? .success($0) : .failure(.notGreater(than: 0)) }
  }

  static func number(_ text: String, in range: ClosedRange<Int64>) -> Result<Int64, FieldFlaw> {
    parse(text).flatMap { number in
      if number < range.lowerBound { return .failure(.below(range.lowerBound)) }
      return number > range.upperBound ? .failure(.above(range.upperBound)) : .success(number)
    }
  }

  private static func parse(_ text: String) -> Result<Int64, FieldFlaw> {
    if let number = Int64(text) { return .success(number) }
    let digits = text.first == "-" || text.first == "+" ? text.dropFirst() : text[...]
    let isNumber = !digits.isEmpty && digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    return .failure(isNumber ? .integerTooLong : .unparsableInteger)
  }
}
