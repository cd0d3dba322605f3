import FastCGI
import TestSupport
import Testing

@Suite("following the records of a request")
struct RecordScannerTests {
  static func scan(_ bytes: [UInt8], inPiecesOf length: Int) -> [Arrival] {
    var scanner = RecordScanner()
    var arrivals: [Arrival] = []
    for start in stride(from: 0, to: bytes.count, by: length) where arrivals.last != .malformed {
      arrivals.append(scanner.scan(bytes[start..<min(start + length, bytes.count)]))
    }
    return arrivals
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

  @Test("names and values are refused that say they are longer than all parameters may be", arguments: [1, 3, 1_000])
  func hugeParameters(pieces: Int) {
    for lengths: [UInt8] in [
      [0xff, 0xff, 0xff, 0xfe, 0x80, 0, 0, 1], [0xff, 0xff, 0xff, 0xff, 1], [1, 0xff, 0xff, 0xff, 0xff], [0x80, 4, 0, 1, 0],
      [0, 0x84, 0, 0, 0],
    ] {
      let request = Records.begin() + Records.record(.parameters, lengths)
      let arrivals = Self.scan(request, inPiecesOf: pieces)
      #expect(arrivals.contains(.malformed), "\(lengths)")
    }
    let longest = Records.pairs([("A", String(repeating: "x", count: 200_000)), ("", ""), ("B", "")])
    let whole = Records.begin() + Records.stream(.parameters, longest) + Records.record(.standardInput)
    #expect(Self.scan(whole, inPiecesOf: max(pieces, 7)).last == .complete)
  }

  @Test("parameters that end within a name, a value or a length are refused", arguments: [1, 1_000])
  func cutParameters(pieces: Int) {
    let pairs = Records.pairs([("REQUEST_METHOD", "GET"), ("X", String(repeating: "x", count: 300))])
    for length in 1..<pairs.count where length != 19 {
      let request = Records.begin() + Records.stream(.parameters, Array(pairs[..<length]))
      #expect(Self.scan(request, inPiecesOf: pieces).contains(.malformed), "\(length) bytes")
    }
  }
}
