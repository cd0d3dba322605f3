// What can be bound to a statement, and how it travels: in PostgreSQL's binary format, so that nothing is parsed or quoted.

/// A Swift type that can be bound as a parameter.
public protocol PostgresEncodable {
  static var postgresType: PostgresType { get }
  var parameter: Parameter { get }
}

/// The object identifier of a built-in type, from `pg_type.dat`.
public struct PostgresType: RawRepresentable, Equatable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let bool = PostgresType(rawValue: 16)
  public static let bytea = PostgresType(rawValue: 17)
  public static let int8 = PostgresType(rawValue: 20)
  public static let text = PostgresType(rawValue: 25)
  public static let float8 = PostgresType(rawValue: 701)
  public static let int8Array = PostgresType(rawValue: 1016)
  public static let timestamptz = PostgresType(rawValue: 1184)
}

/// One bound value.
public enum Parameter: Sendable {
  case null(PostgresType)
  case bool(Bool)
  case int8(Int64)
  case float8(Double)
  case text(String)
  case bytea([UInt8])
  case int8Array([Int64])
  case timestamptz(Timestamp)

  var type: PostgresType {
    switch self {
    case .null(let type): type
    case .bool: .bool
    case .int8: .int8
    case .float8: .float8
    case .text: .text
    case .bytea: .bytea
    case .int8Array: .int8Array
    case .timestamptz: .timestamptz
    }
  }

  /// Appends the value in binary format; nothing for NULL, which has no bytes.
  func encode(into buffer: inout [UInt8]) {
    switch self {
    case .null: break
    case .bool(let value): buffer.append(value ? 1 : 0)
    case .int8(let value): buffer.appendBigEndian(value)
    case .float8(let value): buffer.appendBigEndian(value.bitPattern)
    case .text(let value): buffer.append(contentsOf: value.utf8)
    case .bytea(let value): buffer.append(contentsOf: value)
    case .timestamptz(let value): buffer.appendBigEndian(value.microseconds)
    case .int8Array(let values):
      // array_send: dimensions, has-nulls flag, element type; length and lower bound of the dimension; length and bytes of each.
      buffer.appendBigEndian(Int32(values.isEmpty ? 0 : 1))
      buffer.appendBigEndian(Int32(0))
      buffer.appendBigEndian(PostgresType.int8.rawValue)
      guard !values.isEmpty else { break }
      buffer.appendBigEndian(Int32(values.count))
      buffer.appendBigEndian(Int32(1))
      for value in values {
        buffer.appendBigEndian(Int32(8))
        buffer.appendBigEndian(value)
      }
    }
  }

  var isNull: Bool {
    if case .null = self { true } else { false }
  }
}

extension [UInt8] {
  fileprivate mutating func appendBigEndian(_ value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
  }
}

extension Bool: PostgresEncodable {
  public static let postgresType = PostgresType.bool
  public var parameter: Parameter { .bool(self) }
}
extension Int64: PostgresEncodable {
  public static let postgresType = PostgresType.int8
  public var parameter: Parameter { .int8(self) }
}
extension Int: PostgresEncodable {
  public static let postgresType = PostgresType.int8
  public var parameter: Parameter { .int8(Int64(self)) }
}
extension Double: PostgresEncodable {
  public static let postgresType = PostgresType.float8
  public var parameter: Parameter { .float8(self) }
}
extension String: PostgresEncodable {
  public static let postgresType = PostgresType.text
  public var parameter: Parameter { .text(self) }
}
extension [UInt8]: PostgresEncodable {
  public static let postgresType = PostgresType.bytea
  public var parameter: Parameter { .bytea(self) }
}
extension Timestamp: PostgresEncodable {
  public static let postgresType = PostgresType.timestamptz
  public var parameter: Parameter { .timestamptz(self) }
}
/// A list of ids for `= ANY(…)` or `unnest(…)`.
public struct IDList: PostgresEncodable, Sendable {
  public static let postgresType = PostgresType.int8Array
  public let ids: [Int64]
  public init(_ ids: [Int64]) { self.ids = ids }
  public var parameter: Parameter { .int8Array(ids) }
}
