// Lists of ids as a column of a row.

/// A `bigint[]` of one dimension without NULLs, or an empty array.
extension IDList: PostgresDecodable {
  public init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {
    guard type == PostgresType.int8Array.rawValue, bytes.count >= 12 else { return nil }
    func number(at offset: Int) -> Int { Int(Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self))) }
    // array_send: dimensions, has-nulls flag, element type; length and lower bound of the dimension; length and bytes of each.
    if number(at: 0) == 0 {
      self.init([])
      return
    }
    guard number(at: 0) == 1, number(at: 4) == 0, bytes.count >= 20, bytes.count == 20 + 12 * number(at: 12) else { return nil }
    self.init(
      (0..<number(at: 12)).map { index in
        Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 20 + 12 * index + 4, as: Int64.self))
      })
  }
}
