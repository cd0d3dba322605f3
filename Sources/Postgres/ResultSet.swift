// The result of one statement, and how its columns become Swift values.

import CPostgres

/// Owns a `PGresult`; it is cleared when this goes away.
struct ResultSet: ~Copyable {
  private let result: OpaquePointer

  init(_ result: OpaquePointer) { self.result = result }
  deinit { PQclear(result) }

  var status: ExecStatusType { PQresultStatus(result) }
  var count: Int { Int(PQntuples(result)) }
  /// What was done, such as `COMMIT` or `INSERT 0 1`.
  var commandTag: String { String(cString: PQcmdStatus(result)) }

  /// Every row, decoded.
  borrowing func rows<Row: RowDecodable>(as type: Row.Type) throws(PostgresError) -> [Row] {
    var rows: [Row] = []
    let count = PQntuples(result)
    rows.reserveCapacity(Int(count))
    for index in 0..<count {
      var reader = RowReader(result: result, row: index)
      rows.append(try Row(row: &reader))
    }
    return rows
  }

  /// The error that a failed statement reports. Without an SQLSTATE it comes from libpq itself: the connection is gone.
  borrowing func error() -> PostgresError {
    let message = field(.primaryMessage) ?? String(cString: PQresultErrorMessage(result))
    guard let state = field(.sqlState) else { return PostgresError(.connectionLost, message) }
    return PostgresError(.server(SQLState(rawValue: state)), message, constraint: field(.constraintName))
  }

  private borrowing func field(_ field: Diagnostic) -> String? {
    PQresultErrorField(result, Int32(field.rawValue.value)).map { String(cString: $0) }
  }
}

/// The fields of an error report: libpq's PG_DIAG_… are character constants, which Swift does not import.
private enum Diagnostic: Unicode.Scalar {
  case sqlState = "C"
  case primaryMessage = "M"
  case constraintName = "n"
}

/// A type that can be made from the columns of one row, read in order.
public protocol RowDecodable: Sendable {
  init(row: inout RowReader) throws(PostgresError)
}

/// Reads the columns of one row from left to right. It must not outlive the closure or initializer that it was given to.
public struct RowReader {
  private let result: OpaquePointer
  private let row: Int32
  private var column: Int32 = 0

  init(result: OpaquePointer, row: Int32) {
    self.result = result
    self.row = row
  }

  /// The next column, which may not be NULL.
  public mutating func next<Value: PostgresDecodable>(_ type: Value.Type = Value.self) throws(PostgresError) -> Value {
    guard let value = try nextIfPresent(type) else { throw mismatch("NULL", Value.self) }
    return value
  }

  /// The next column; nil for NULL.
  public mutating func next<Value: PostgresDecodable>(_ type: Value?.Type = Value?.self) throws(PostgresError) -> Value? {
    try nextIfPresent(Value.self)
  }

  private mutating func nextIfPresent<Value: PostgresDecodable>(_ type: Value.Type) throws(PostgresError) -> Value? {
    let column = self.column
    self.column += 1
    guard column < PQnfields(result) else { throw mismatch("no column", type) }
    guard PQgetisnull(result, row, column) == 0, let start = PQgetvalue(result, row, column) else { return nil }
    let bytes = UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(result, row, column)))
    let oid = PQftype(result, column)
    guard let value = Value(postgres: bytes, type: oid) else { throw mismatch("type \(oid), \(bytes.count) bytes", type) }
    return value
  }

  private func mismatch(_ found: String, _ wanted: Any.Type) -> PostgresError {
    PostgresError(.decoding, "column \(column): \(found) where \(wanted) was asked for")
  }
}

/// A type that can be read from a column in binary format.
public protocol PostgresDecodable {
  /// - Parameters:
  ///   - bytes: the value, valid during the call only.
  ///   - type: the object identifier of the column's type.
  /// - Returns: nil if the column is of another type.
  init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32)
}

extension UnsafeRawBufferPointer {
  fileprivate func bigEndian<Value: FixedWidthInteger>(_ type: Value.Type) -> Value? {
    count == MemoryLayout<Value>.size ? Value(bigEndian: loadUnaligned(as: Value.self)) : nil
  }
}

extension Int64: PostgresDecodable {
  public init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {
    let value: Int64? =
      switch type {
      case 20: bytes.bigEndian(Int64.self)
      case 23: bytes.bigEndian(Int32.self).map(Int64.init)
      case 21: bytes.bigEndian(Int16.self).map(Int64.init)
      default: nil
      }
    guard let value else { return nil }
    self = value
  }
}
extension Int: PostgresDecodable {
  public init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {
    guard let value = Int64(postgres: bytes, type: type) else { return nil }
    self = Int(value)
  }
}
extension Bool: PostgresDecodable {
  public init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {
    guard type == PostgresType.bool.rawValue, bytes.count == 1 else { return nil }
    self = bytes[0] != 0
  }
}
extension Double: PostgresDecodable {
  public init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {
    guard type == PostgresType.float8.rawValue, let bits = bytes.bigEndian(UInt64.self) else { return nil }
    self = Double(bitPattern: bits)
  }
}
extension String: PostgresDecodable {
  /// Types whose binary format is their text: text, varchar, bpchar, name, json, unknown.
  private static let textual: Set<UInt32> = [25, 1043, 1042, 19, 114, 705]

  public init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {
    guard type == PostgresType.text.rawValue || Self.textual.contains(type) else { return nil }
    self.init(decoding: bytes, as: UTF8.self)
  }
}
extension [UInt8]: PostgresDecodable {
  public init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {
    guard type == PostgresType.bytea.rawValue else { return nil }
    self.init(bytes)
  }
}
extension Timestamp: PostgresDecodable {
  public init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {
    guard type == PostgresType.timestamptz.rawValue, let microseconds = bytes.bigEndian(Int64.self) else { return nil }
    self.init(microseconds: microseconds)
  }
}

// A row of one column is that column.
extension Int64: RowDecodable {
  public init(row: inout RowReader) throws(PostgresError) { self = try row.next() }
}
extension Bool: RowDecodable {
  public init(row: inout RowReader) throws(PostgresError) { self = try row.next() }
}
extension String: RowDecodable {
  public init(row: inout RowReader) throws(PostgresError) { self = try row.next() }
}
extension Double: RowDecodable {
  public init(row: inout RowReader) throws(PostgresError) { self = try row.next() }
}
