import FastCGI
import TestSupport
import Testing

@Suite("following the records of a request")
struct RecordScannerTests {
  static func scan(_ bytes: [UInt8], inPiecesOf length: Int) -> [Arrival] {
    var scanner = RecordScanner()
    return stride(from: 0, to: bytes.count, by: length).map { scanner.scan(bytes[$0..<min($0 + length, bytes.count)]) }
  }

  @Test("whatever the pieces, a request is whole with its last byte and not before", arguments: [1, 2, 3, 7, 8, 9, 64, 1_000, 70_000])
  func pieces(length: Int) {
    var generator = SeededGenerator(seed: UInt64(length))
    for _ in 0..<20 {
      var request = ClientRequest("POST", "/", body: RequestTests.noise(Int.random(in: 0...2_000, using: &generator)))
      request.id = UInt16.random(in: 1 ... .max, using: &generator)
      request.recordLength = Int.random(in: 1...3_000, using: &generator)
      request.padding = UInt8.random(in: .min ... .max, using: &generator)
      let arrivals = Self.scan(request.bytes, inPiecesOf: length)
      #expect(arrivals.last == .complete)
      #expect(arrivals.dropLast().allSatisfy { $0 == .partial })
    }
  }

  @Test("the length of the body is what the headers announce, before all of it is there")
  func bodyLength() {
    var scanner = RecordScanner()
    let request = ClientRequest("POST", "/", body: RequestTests.noise(50_000))
    #expect(scanner.scan(request.bytes[..<200]) == .partial)
    #expect(scanner.bodyLength == 32_768)
    #expect(scanner.scan(request.bytes[200...]) == .complete)
    #expect(scanner.bodyLength == 50_000)
  }

  @Test("what libfcgi would take for something else is refused: padding of records that are not part of a stream's content")
  func padding() {
    let pairs = Records.pairs([("REQUEST_METHOD", "GET")])
    let begin = Records.begin()
    let padded = Records.record(.begin, [0, 1, 1, 0, 0, 0, 0, 0], padding: 8)
    #expect(Self.scan(padded + Records.stream(.parameters, pairs) + Records.record(.standardInput), inPiecesOf: 1_000) == [.malformed])
    let parameters = begin + Records.record(.parameters, pairs) + Records.record(.parameters, padding: 8)
    #expect(Self.scan(parameters + Records.record(.standardInput), inPiecesOf: 1_000) == [.malformed])
    let input = begin + Records.stream(.parameters, pairs) + Records.record(.standardInput, padding: 8)
    #expect(Self.scan(input, inPiecesOf: 1_000) == [.malformed])
  }

  @Test("parameters without end are refused")
  func endlessParameters() {
    let record = Records.record(.parameters, Array(repeating: 0, count: 65_000))
    var scanner = RecordScanner()
    #expect(scanner.scan(Records.begin()[...]) == .partial)
    #expect((0..<5).map { _ in scanner.scan(record[...]) } == [.partial, .partial, .partial, .partial, .malformed])
  }
}
