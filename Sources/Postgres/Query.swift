// A statement and its parameters. The only way to put a value into it is to bind it.

/// SQL written as a string literal whose interpolations are parameters, never text:
///
/// ```swift
/// let query: Query = "SELECT title FROM posts WHERE id = \(id)"     // … WHERE id = $1
/// ```
///
/// Interpolating another `Query` splices it in, parameters included. There is deliberately no way to make one from a `String`.
public struct Query: ExpressibleByStringInterpolation, Sendable {
  /// The text between the parameters: always one more than there are parameters.
  private(set) var pieces: [String]
  private(set) var parameters: [Parameter]

  public init(stringLiteral value: StaticString) {
    pieces = [value.description]
    parameters = []
  }

  public init(stringInterpolation interpolation: Interpolation) {
    pieces = interpolation.pieces
    parameters = interpolation.parameters
  }

  /// The statement as PostgreSQL gets it, with `$1`, `$2`, … for the parameters.
  public var sql: String {
    var text = pieces[0]
    for (index, piece) in pieces.dropFirst().enumerated() { text += "$\(index + 1)" + piece }
    return text
  }

  /// The same statement without its values, to remember it by.
  var shape: Query {
    var shape = self
    shape.parameters = parameters.map { .null($0.type) }
    return shape
  }

  public struct Interpolation: StringInterpolationProtocol {
    var pieces: [String] = [""]
    var parameters: [Parameter] = []

    public init(literalCapacity: Int, interpolationCount: Int) {
      pieces.reserveCapacity(interpolationCount + 1)
      parameters.reserveCapacity(interpolationCount)
    }

    public mutating func appendLiteral(_ literal: StaticString) {
      append(literal.description)
    }

    public mutating func appendInterpolation(_ value: some PostgresEncodable) {
      parameters.append(value.parameter)
      pieces.append("")
    }

    public mutating func appendInterpolation<Value: PostgresEncodable>(_ value: Value?) {
      parameters.append(value?.parameter ?? .null(Value.postgresType))
      pieces.append("")
    }

    public mutating func appendInterpolation(_ fragment: Query) {
      append(fragment.pieces[0])
      pieces.append(contentsOf: fragment.pieces.dropFirst())
      parameters.append(contentsOf: fragment.parameters)
    }

    private mutating func append(_ text: String) {
      let last = pieces.count - 1
      if pieces[last].isEmpty { pieces[last] = text } else { pieces[last] += text }
    }
  }
}

/// Two queries are equal when they are the same statement with parameters of the same types; the values do not count.
extension Query: Hashable {
  public static func == (a: Query, b: Query) -> Bool {
    a.pieces == b.pieces && a.parameters.elementsEqual(b.parameters) { $0.type == $1.type }
  }

  public func hash(into hasher: inout Hasher) {
    for piece in pieces { hasher.combine(piece) }
  }
}
