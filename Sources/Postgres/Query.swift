// A statement and its parameters. The only way to put a value into it is to bind it.

/// SQL written as a string literal whose interpolations are parameters, never text:
///
/// ```swift
/// let query: Query = "SELECT title FROM posts WHERE id = \(id)"     // … WHERE id = $1
/// ```
///
/// Interpolating another `Query` splices it in, parameters included. There is deliberately no way to make one from a `String`.
public struct Query: ExpressibleByStringInterpolation, Sendable {
  /// The literals as they stand in the program, and nil where a parameter is. No text is put together before a statement is
  /// prepared: this is made for every request.
  private(set) var parts: [StaticString?]
  private(set) var parameters: [Parameter]

  public init(stringLiteral value: StaticString) {
    parts = [value]
    parameters = []
  }

  public init(stringInterpolation interpolation: Interpolation) {
    parts = interpolation.parts
    parameters = interpolation.parameters
  }

  /// The statement as PostgreSQL gets it, with `$1`, `$2`, … for the parameters.
  public var sql: String {
    var text = ""
    var number = 0
    for part in parts {
      if let part {
        text += part.description
      } else {
        number += 1
        text += "$\(number)"
      }
    }
    return text
  }

  /// The same statement without its values, to remember it by.
  var shape: Query {
    var shape = self
    shape.parameters = parameters.map { .null($0.type) }
    return shape
  }

  public struct Interpolation: StringInterpolationProtocol {
    var parts: [StaticString?] = []
    var parameters: [Parameter] = []

    public init(literalCapacity: Int, interpolationCount: Int) {
      parts.reserveCapacity(2 * interpolationCount + 1)
      parameters.reserveCapacity(interpolationCount)
    }

    public mutating func appendLiteral(_ literal: StaticString) {
      parts.append(literal)
    }

    public mutating func appendInterpolation(_ value: some PostgresEncodable) {
      parameters.append(value.parameter)
      parts.append(nil)
    }

    public mutating func appendInterpolation<Value: PostgresEncodable>(_ value: Value?) {
      parameters.append(value?.parameter ?? .null(Value.postgresType))
      parts.append(nil)
    }

    public mutating func appendInterpolation(_ fragment: Query) {
      parts.append(contentsOf: fragment.parts)
      parameters.append(contentsOf: fragment.parameters)
    }
  }
}

/// Two queries are equal when they are the same statement with parameters of the same types; the values do not count.
extension Query: Hashable {
  public static func == (a: Query, b: Query) -> Bool {
    guard a.parameters.elementsEqual(b.parameters, by: { $0.type == $1.type }) else { return false }
    // The same literals of the program, as is the rule; or else the same text in other pieces.
    return a.parts.elementsEqual(b.parts, by: isSameLiteral) || a.sql == b.sql
  }

  /// By its length, which tells a program's statements apart well enough, and costs nothing.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(parts.reduce(0) { $0 + ($1?.utf8CodeUnitCount ?? 0) })
    hasher.combine(parameters.count)
  }

  private static func isSameLiteral(_ a: StaticString?, _ b: StaticString?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return a.hasPointerRepresentation && b.hasPointerRepresentation && a.utf8Start == b.utf8Start
      && a.utf8CodeUnitCount == b.utf8CodeUnitCount
  }
}
