// Every error that a client can get, and the one place where a database's error becomes one of them.

/// An answer other than success. Its body is `{"detail": …}`: a text, or for 422 the list of wrong fields.
public struct APIError: Error, Sendable {
  public let status: Int
  let detail: Detail
  var headers: [(name: String, value: String)] = []
  /// What the database said, for the log and for handlers that know a better answer; never shown to a client.
  public var cause: PostgresError?

  enum Detail: Sendable {
    case text(String)
    case fields([FieldError])
  }

  private init(_ status: Int, _ text: String, headers: [(name: String, value: String)] = []) {
    self.status = status
    detail = .text(text)
    self.headers = headers
  }

  /// 422 with every wrong field.
  init(fields: [FieldError]) {
    status = 422
    detail = .fields(fields)
  }

  /// 308: the same is at another address of this server (RFC 9110, section 15.4.9).
  ///
  /// - Parameter address: a path and a query, escaped.
  static func moved(to address: String) -> APIError {
    APIError(308, "Permanent Redirect", headers: [("Location", address)])
  }
  public static func badRequest(_ text: String) -> APIError { APIError(400, text) }
  /// 401 with the challenge of RFC 6750, section 3.
  public static let unauthorized = refused("Not authenticated")
  /// 401 for another credential than an access token, by its name.
  public static func refused(_ text: String) -> APIError { APIError(401, text, headers: [("WWW-Authenticate", "Bearer")]) }
  public static func forbidden(_ text: String) -> APIError { APIError(403, text) }
  public static func notFound(_ text: String = "Not Found") -> APIError { APIError(404, text) }
  static func methodNotAllowed(_ allowed: [String]) -> APIError {
    APIError(405, "Method Not Allowed", headers: [("Allow", allowed.joined(separator: ", "))])
  }
  public static func conflict(_ text: String) -> APIError { APIError(409, text) }
  /// 412: what was to be changed is no longer what the client has seen.
  public static func preconditionFailed(_ text: String) -> APIError { APIError(412, text) }
  public static let tooLarge = tooLarge("Request body too large")
  public static func tooLarge(_ text: String) -> APIError { APIError(413, text) }
  public static let unsupportedMediaType = APIError(415, "Unsupported media type")
  /// 415 with the one coding that is taken: none (RFC 9110, section 12.5.3).
  static let unsupportedContentCoding = APIError(
    415, "Content-Encoding is not supported: send the body as it is", headers: [("Accept-Encoding", "identity")])
  /// 422 for one field, found to be wrong after all had been validated.
  package static func invalid(_ flaw: FieldFlaw, _ place: String, _ name: String, _ input: JSONValue) -> APIError {
    APIError(fields: [FieldError(flaw, place, name, input)])
  }
  /// 422 for what is wrong with no single field.
  public static func unprocessable(_ text: String) -> APIError { APIError(422, text) }
  /// 429, with when to try again (RFC 6585, section 4).
  ///
  /// - Parameter seconds: to wait, 1 or more.
  public static func tooManyRequests(retryAfter seconds: Int64) -> APIError {
    APIError(429, "Too many requests", headers: [("Retry-After", "\(seconds)")])
  }
  /// 503: overloaded, or the database is away.
  public static let unavailable = APIError(503, "Service temporarily unavailable", headers: [("Retry-After", "1")])
  /// 503: there is no room on a disk. It will take somebody some time to make some.
  public static let noRoom = APIError(503, "Service temporarily unavailable", headers: [("Retry-After", "30")])
  public static let internalServerFailure = APIError(500, "Internal Server Error")

  /// What a client is told when the database has refused or not answered.
  public init(_ cause: PostgresError) {
    switch cause.kind {
    case .unavailable, .connectionLost: self = .unavailable
    case .server(.diskFull): self = .noRoom
    case .server(let state): self = state.isTrouble ? .unavailable : .internalServerFailure
    case .decoding: self = .internalServerFailure
    }
    self.cause = cause
  }

  /// Whether the database refused because of this unique or foreign-key constraint.
  public func violates(_ constraint: String) -> Bool { cause?.constraint == constraint }
}

/// One wrong field, in the shape of pydantic v2.
public struct FieldError: Encodable, Sendable {
  /// The kind of error, one of pydantic's names: `missing`, `string_too_short`, …
  let type: String
  /// Where: `body`, `path` or `query`, and the name.
  let loc: [Location]
  let msg: String
  /// What was sent, or its beginning.
  let input: Excerpt

  init(type: String, loc: [Location], msg: String, input: JSONValue) {
    self.type = type
    self.loc = loc
    self.msg = msg
    self.input = Excerpt(of: input)
  }

  /// - Parameters:
  ///   - place: `body`, `path` or `query`.
  ///   - name: the field; none when the flaw is the body's as a whole.
  init(_ flaw: FieldFlaw, _ place: String, _ name: String?, _ input: JSONValue) {
    self.init(type: flaw.type, loc: [.name(place)] + (name.map { [.name($0)] } ?? []), msg: flaw.message, input: input)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(type, forKey: .type)
    try container.encode(loc, forKey: .loc)
    try container.encode(msg, forKey: .msg)
    try container.encode(input.value, forKey: .input)
    // A member of our own, and only where it says something.
    if let length = input.length { try container.encode(length, forKey: .inputLength) }
  }

  private enum CodingKeys: String, CodingKey {
    case type
    case loc
    case msg
    case input
    case inputLength = "input_length"
  }

  enum Location: Encodable, Sendable {
    case name(String)
    case offset(Int)

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .name(let name): try container.encode(name)
      case .offset(let offset): try container.encode(offset)
      }
    }
  }
}

/// What can be wrong with one value: pydantic's name of the error, and its sentence.
public struct FieldFlaw: Error {
  let type: String
  let message: String

  static let missing = FieldFlaw(type: "missing", message: "Field required")
  static let notString = FieldFlaw(type: "string_type", message: "Input should be a valid string")
  static let notInteger = FieldFlaw(type: "int_type", message: "Input should be a valid integer")
  static let unparsableInteger = FieldFlaw(
    type: "int_parsing", message: "Input should be a valid integer, unable to parse string as an integer")
  static let integerTooLong = FieldFlaw(
    type: "int_parsing_size", message: "Unable to parse input string as an integer, exceeded maximum size")
  static let notObject = FieldFlaw(
    type: "model_attributes_type", message: "Input should be a valid dictionary or object to extract fields from")
  static let invalidJSON = FieldFlaw(type: "json_invalid", message: "JSON decode error")
  static let multilineText = FieldFlaw.value("String may not contain line breaks or control characters")

  public static func tooShort(_ minimum: Int) -> FieldFlaw {
    FieldFlaw(type: "string_too_short", message: "String should have at least \(minimum) character\(minimum == 1 ? "" : "s")")
  }
  public static func tooLong(_ maximum: Int) -> FieldFlaw {
    FieldFlaw(type: "string_too_long", message: "String should have at most \(maximum) character\(maximum == 1 ? "" : "s")")
  }
  public static func pattern(_ pattern: String) -> FieldFlaw {
    FieldFlaw(type: "string_pattern_mismatch", message: "String should match pattern '\(pattern)'")
  }
  /// The value is none of those allowed.
  public static func literal(_ allowed: [String]) -> FieldFlaw {
    let quoted = allowed.map { "'\($0)'" }
    let list = quoted.count > 1 ? quoted.dropLast().joined(separator: ", ") + " or " + quoted[quoted.count - 1] : quoted.joined()
    return FieldFlaw(type: "literal_error", message: "Input should be \(list)")
  }
  /// Anything else, in a sentence of its own.
  public static func value(_ sentence: String) -> FieldFlaw {
    FieldFlaw(type: "value_error", message: "Value error, \(sentence)")
  }
  static func notGreater(than bound: Int64) -> FieldFlaw {
    FieldFlaw(type: "greater_than", message: "Input should be greater than \(bound)")
  }
  static func below(_ minimum: Int64) -> FieldFlaw {
    FieldFlaw(type: "greater_than_equal", message: "Input should be greater than or equal to \(minimum)")
  }
  static func above(_ maximum: Int64) -> FieldFlaw {
    FieldFlaw(type: "less_than_equal", message: "Input should be less than or equal to \(maximum)")
  }
}
