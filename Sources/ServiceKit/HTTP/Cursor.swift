// A position in a list as clients carry it: opaque, since its content may change.

import Postgres

/// What a list is ordered by: where in it a row stands.
public protocol ListPosition: Sendable {
  /// - Parameter cursor: bytes that anybody may have made up; nil if no row can stand there.
  init?(cursor: [UInt8])
  /// What the same position is made of again.
  var cursor: [UInt8] { get }
}

package enum Cursor {
  package static func encode(_ position: some ListPosition) -> String { Base64URL.encode(position.cursor) }

  package static func decode<Position: ListPosition>(_ text: String, as type: Position.Type) -> Position? {
    Base64URL.decode(Array(text.utf8)).flatMap { Position(cursor: $0) }
  }
}

/// The id of a row. The shortest spelling is the only one.
extension Int64: ListPosition {
  public init?(cursor: [UInt8]) {
    guard (1...8).contains(cursor.count), cursor.first != 0 else { return nil }
    self.init(exactly: cursor.reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
  }

  public var cursor: [UInt8] { Array(bigEndianBytes.drop { $0 == 0 }) }

  fileprivate var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}

/// Where a row stands in a list by time, and by id where times are the same.
public struct TimedPosition: Equatable, ListPosition {
  public let time: Timestamp
  public let id: Int64

  public init(time: Timestamp, id: Int64) {
    self.time = time
    self.id = id
  }

  public init?(cursor: [UInt8]) {
    guard cursor.count == 16 else { return nil }
    let time = Int64(bitPattern: cursor[..<8].reduce(0) { $0 << 8 | UInt64($1) })
    let id = Int64(bitPattern: cursor[8...].reduce(0) { $0 << 8 | UInt64($1) })
    guard id > 0, Timestamp.storable.contains(time) else { return nil }
    self.init(time: Timestamp(microseconds: time), id: id)
  }

  public var cursor: [UInt8] { time.microseconds.bigEndianBytes + id.bigEndianBytes }
}

/// A name. It has one byte at least, none of them a NUL.
extension String: ListPosition {
  public init?(cursor: [UInt8]) {
    guard !cursor.isEmpty, !cursor.contains(0) else { return nil }
    self.init(validating: cursor, as: UTF8.self)
  }

  public var cursor: [UInt8] { Array(utf8) }
}
