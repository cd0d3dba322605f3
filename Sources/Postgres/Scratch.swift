/// Lays out parameters as libpq wants them, in buffers that are used again for every statement.
struct Scratch {
  private var bytes: [UInt8] = []
  private var values: [UnsafePointer<CChar>?] = []
  private var lengths: [Int32] = []
  private var formats: [Int32] = []

  typealias Send = (
    _ values: UnsafeBufferPointer<UnsafePointer<CChar>?>, _ lengths: UnsafeBufferPointer<Int32>, _ formats: UnsafeBufferPointer<Int32>
  ) -> Int32

  /// Calls `send` with the parameters' values, lengths in bytes and formats (all binary); true if it returned 1.
  mutating func with(_ parameters: [Parameter], _ send: Send) -> Bool {
    bytes.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
    lengths.removeAll(keepingCapacity: true)
    while formats.count < parameters.count { formats.append(1) }
    for parameter in parameters {
      let start = bytes.count
      parameter.encode(into: &bytes)
      lengths.append(Int32(bytes.count - start))
    }
    // An empty value is not NULL: it needs an address, so there is always at least one byte.
    bytes.append(0)
    return bytes.withUnsafeBytes { buffer in
      let base = buffer.bindMemory(to: CChar.self).baseAddress
      var offset = 0
      for (index, parameter) in parameters.enumerated() {
        values.append(parameter.isNull ? nil : base.map { $0 + offset })
        offset += Int(lengths[index])
      }
      return values.withUnsafeBufferPointer { values in
        lengths.withUnsafeBufferPointer { lengths in
          formats.withUnsafeBufferPointer { formats in send(values, lengths, formats) }
        }
      }
    } == 1
  }
}
