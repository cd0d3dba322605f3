import EventLoop
import FastCGI
import TestSupport
import Testing

/// What happens on connections besides requests that come whole.
@Suite("connections of a responder")
struct ConnectionTests {
  static let short: Responder.Limits = {
    var limits = Responder.Limits()
    limits.receiveTimeout = .milliseconds(400)
    limits.drainTimeout = .milliseconds(400)
    return limits
  }()

  /// Answers with the target.
  static func mirror(_ limits: Responder.Limits = Responder.Limits()) async throws -> TestServer {
    try await TestServer.start(limits: limits) { request in Response(headers: [("Target", request.target)], body: request.body) }
  }

  // MARK: Arrival

  @Test("a request that comes byte by byte is answered")
  func byteByByte() async throws {
    let client = try await Self.mirror().client()
    let request = ClientRequest("POST", "/slow", body: Array("body".utf8))
    for _ in 0..<2 {
      try await client.send(request.bytes, inPiecesOf: 1)
      let response = try await client.response()
      #expect(response["Target"] == "/slow" && response.text == "body")
    }
  }

  @Test("a request in pieces that end anywhere, within headers and records, is answered", arguments: [3, 8, 13, 64, 1000, 40_000, 70_000])
  func pieces(length: Int) async throws {
    let client = try await Self.mirror().client()
    var request = ClientRequest("POST", "/pieces", body: RequestTests.noise(length < 1_000 ? length * 50 : 250_000))
    request.recordLength = 999
    request.padding = 3
    for _ in 0..<2 {
      try await client.send(request.bytes, inPiecesOf: length)
      #expect(try await client.response().body == request.body)
    }
  }

  @Test("several requests come one after another over one connection, also with none in between for a while")
  func keptConnection() async throws {
    let client = try await Self.mirror(Self.short).client()
    for number in 0..<200 { #expect(try await client.get("/\(number)")["Target"] == "/\(number)") }
    try await Task.sleep(for: .milliseconds(900))
    #expect(try await client.get("/later")["Target"] == "/later")
  }

  @Test("without FCGI_KEEP_CONN the responder closes after the response")
  func notKept() async throws {
    let server = try await Self.mirror()
    for _ in 0..<20 {
      let client = try await server.client()
      var request = ClientRequest("POST", "/once", body: RequestTests.noise(10_000))
      request.keepsConnection = false
      #expect(try await client.request(request).body == request.body)
      #expect(try await client.receiveToEnd().isEmpty)
    }
  }

  @Test("a kept connection may end with a request without FCGI_KEEP_CONN")
  func keptAndThenNot() async throws {
    let client = try await Self.mirror().client()
    _ = try await client.get("/1")
    var request = ClientRequest.get("/2")
    request.keepsConnection = false
    #expect(try await client.request(request)["Target"] == "/2")
    #expect(try await client.receiveToEnd().isEmpty)
  }

  @Test("a peer that sends no more after its request is answered nevertheless")
  func halfClosed() async throws {
    let client = try await Self.mirror().client()
    try await client.send(ClientRequest.get("/last").bytes)
    await client.closeSending()
    #expect(try await client.response()["Target"] == "/last")
    #expect(try await client.receiveToEnd().isEmpty)
  }

  @Test("connections that are opened and left idle, or closed at once, keep nobody from being answered")
  func idleConnections() async throws {
    let server = try await Self.mirror()
    let thread = ThreadExecutor()
    var idle: [FastCGIClient] = []
    for number in 0..<200 {
      let client = try await server.client(on: thread)
      if number % 4 == 0 { await client.close() } else { idle.append(client) }
    }
    let client = try await server.client()
    for number in 0..<20 { #expect(try await client.get("/\(number)")["Target"] == "/\(number)") }
    // And the idle ones can still be used.
    for client in idle { #expect(try await client.get("/idle").status == 200) }
    thread.stop()
  }

  @Test("many kept connections on one worker are served in turn")
  func manyKeptConnections() async throws {
    let server = try await Self.mirror()
    let thread = ThreadExecutor()
    var clients: [FastCGIClient] = []
    for _ in 0..<100 { clients.append(try await server.client(on: thread)) }
    for round in 0..<5 {
      for (index, client) in clients.enumerated() { try await client.send(ClientRequest.get("/\(round)/\(index)").bytes) }
      for (index, client) in clients.enumerated().reversed() {
        #expect(try await client.response()["Target"] == "/\(round)/\(index)")
      }
    }
    thread.stop()
  }

  // MARK: Peers that stop

  @Test(
    "while a peer stands still in the middle of a request the others are served, and it is dropped in the end",
    arguments: [4, 8, 20, 60, 1_000, 66_000, 200_000, 299_000])
  func stopsInTheMiddle(sent: Int) async throws {
    let server = try await Self.mirror(Self.short)
    let request = ClientRequest("POST", "/half", body: RequestTests.noise(300_000))
    let halfway = try await server.client()
    try await halfway.send(Array(request.bytes[..<sent]))
    let other = try await server.client()
    for number in 0..<50 { #expect(try await other.get("/\(number)")["Target"] == "/\(number)") }
    // It was not in the way: at its end it is still to be dropped.
    #expect(try await halfway.receiveToEnd().isEmpty)
    #expect(try await other.get("/after")["Target"] == "/after")
  }

  @Test("no other request waits for a peer that stands still in the middle of a large body")
  func doesNotBlock() async throws {
    // Of this responder's time out the others would feel every second.
    var limits = Responder.Limits()
    limits.receiveTimeout = .seconds(3_600)
    let server = try await Self.mirror(limits)
    let request = ClientRequest("POST", "/half", body: RequestTests.noise(1_000_000))
    let halfway = try await server.client()
    try await halfway.send(Array(request.bytes[..<700_000]))
    let other = try await server.client()
    for number in 0..<50 { #expect(try await other.get("/\(number)")["Target"] == "/\(number)") }
    #expect(await halfway.hasSomethingToRead() == false)
    try await halfway.send(Array(request.bytes[700_000...]))
    #expect(try await halfway.response().body == request.body)
  }

  @Test("a peer that leaves in the middle of a request does no harm", arguments: [3, 30, 66_000])
  func leavesInTheMiddle(sent: Int) async throws {
    let server = try await Self.mirror()
    let request = ClientRequest("POST", "/half", body: RequestTests.noise(100_000))
    for _ in 0..<5 {
      let leaving = try await server.client()
      try await leaving.send(Array(request.bytes[..<sent]))
      await leaving.close()
    }
    #expect(try await server.client().get("/after")["Target"] == "/after")
  }

  @Test("a peer that leaves while its request is handled does no harm, and the handler is not ended")
  func leavesWhileHandled() async throws {
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start { request in
      if request.target == "/gate" { await gate.pass() }
      return Response(body: RequestTests.noise(500_000))
    }
    let leaving = try await server.client()
    try await leaving.send(ClientRequest.get("/gate").bytes)
    try await gate.waitForVisitors(1)
    await leaving.close()
    try await gate.open()
    let other = try await server.client()
    for _ in 0..<3 { #expect(try await other.get("/").body.count == 500_000) }
    #expect(try await onLoop { gate.passed } == 1)
  }

  @Test("what arrives while a request is handled is looked at after it: the next request, or the peer's end")
  func arrivesWhileHandled() async throws {
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start { request in
      if request.target == "/gate" { await gate.pass() }
      return Response(headers: [("Target", request.target)])
    }
    let client = try await server.client()
    try await client.send(ClientRequest.get("/gate").bytes)
    try await gate.waitForVisitors(1)
    try await client.send(ClientRequest.get("/next").bytes)
    let leaving = try await server.client()
    try await leaving.send(ClientRequest.get("/gate").bytes)
    try await gate.waitForVisitors(2)
    await leaving.closeSending()
    // Both have been told of once a later request is answered.
    _ = try await server.client().get("/later")
    try await gate.open()
    #expect(try await client.response()["Target"] == "/gate")
    #expect(try await client.response()["Target"] == "/next")
    #expect(try await leaving.response()["Target"] == "/gate")
    #expect(try await leaving.receiveToEnd().isEmpty)
  }

  @Test("a response that its peer does not take holds the worker up at most for the time out")
  func doesNotRead() async throws {
    var limits = Responder.Limits()
    limits.receiveTimeout = .milliseconds(100)
    let server = try await TestServer.start(limits: limits) { request in
      Response(body: RequestTests.noise(request.target == "/large" ? 3_000_000 : 10))
    }
    let lazy = try await server.client()
    try await lazy.send(ClientRequest.get("/large").bytes)
    let other = try await server.client()
    #expect(try await other.get("/").body.count == 10)
    #expect(try await lazy.receiveToEnd().count < 3_000_000)
  }

  // MARK: What is no request

  @Test("what is no FastCGI request is dropped, and the others are served", arguments: Malformed.allCases)
  func malformed(_ what: Malformed) async throws {
    let server = try await Self.mirror()
    let client = try await server.client()
    if what.comesSecond { _ = try await client.get("/first") }
    try await client.send(what.bytes)
    #expect(try await client.receiveToEnd().isEmpty)
    #expect(try await server.client().get("/after")["Target"] == "/after")
  }

  @Test("any bytes whatever do no harm")
  func fuzz() async throws {
    let server = try await Self.mirror(Self.short)
    let thread = ThreadExecutor()
    let valid = ClientRequest("POST", "/", body: Array("body".utf8)).bytes
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<300 {
      var bytes = valid
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &generator)
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: place)
        default: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &generator))
        }
      }
      let client = try await server.client(on: thread)
      // It may have been dropped already.
      try? await client.send(bytes)
    }
    thread.stop()
    #expect(try await server.client().get("/after")["Target"] == "/after")
  }

  enum Malformed: CaseIterable {
    case version, noise, http, noBegin, emptyInputFirst, inputOfAnother, parametersOfAnother, secondBegin, nullIdentifier
    case noParametersEnd, abort, otherRole, unknownRole, shortBegin, longBegin, management, dataStream, namesBeyondTheEnd
    case tailOfAnother, pipelined, hugeName, hugeValue, hugePair, cutLength, nameWithoutValue

    /// Comes on a connection on which there was a request before.
    var comesSecond: Bool { self == .noise || self == .tailOfAnother }

    var bytes: [UInt8] {
      let pairs = Records.pairs([("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/malformed")])
      let parameters = Records.stream(.parameters, pairs)
      let input = Records.record(.standardInput)
      switch self {
      case .version: return Records.record(.begin, [0, 1, 1, 0, 0, 0, 0, 0], version: 2)
      case .noise: return RequestTests.noise(1_000)
      case .http: return Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
      case .noBegin: return parameters + input
      case .emptyInputFirst: return input
      case .inputOfAnother: return Records.begin() + parameters + Records.record(.standardInput, id: 2)
      case .parametersOfAnother: return Records.begin() + Records.stream(.parameters, pairs, id: 2) + input
      case .secondBegin: return Records.begin() + Records.begin(id: 2) + parameters + input
      case .nullIdentifier: return Records.begin(id: 0) + Records.stream(.parameters, pairs, id: 0) + Records.record(.standardInput, id: 0)
      case .noParametersEnd: return Records.begin() + Records.record(.parameters, pairs) + input
      case .abort: return Records.begin() + parameters + Records.record(.abort)
      case .otherRole: return Records.begin(role: 2) + parameters + input
      case .unknownRole: return Records.begin(role: 77) + parameters + input
      case .shortBegin: return Records.record(.begin, [0, 1, 1]) + parameters + input
      case .longBegin: return Records.record(.begin, [0, 1, 1] + Array(repeating: 0, count: 9)) + parameters + input
      case .management: return Records.record(.getValues, Records.pairs([("FCGI_MAX_CONNS", "")]), id: 0)
      case .dataStream: return Records.begin() + parameters + Records.record(.data, [1]) + input
      case .namesBeyondTheEnd: return Records.begin() + Records.stream(.parameters, [200, 200, 65, 66]) + input
      case .tailOfAnother: return Array(ClientRequest.get("/").bytes.dropFirst(16))
      // FCGI_MPXS_CONNS is 0: a web server waits for the response.
      // libfcgi would add up the two and allocate what is left of the sum in 32 bits.
      case .hugePair: return Records.begin() + Records.stream(.parameters, [0xff, 0xff, 0xff, 0xfe, 0x80, 0, 0, 1, 65]) + input
      case .hugeName: return Records.begin() + Records.stream(.parameters, [0xff, 0xff, 0xff, 0xff, 1, 65, 66]) + input
      case .hugeValue: return Records.begin() + Records.stream(.parameters, [1, 0xff, 0xff, 0xff, 0xff, 65, 66]) + input
      case .cutLength: return Records.begin() + Records.stream(.parameters, pairs + [0x80, 0]) + input
      case .nameWithoutValue: return Records.begin() + Records.stream(.parameters, pairs + [3, 0, 65]) + input
      case .pipelined: return ClientRequest.get("/1").bytes + ClientRequest.get("/2").bytes
      }
    }
  }
}

/// A place in a handler where requests wait until the test opens it.
@Worker
final class Gate {
  private(set) var visitors = 0
  private(set) var passed = 0
  private var isOpen = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func pass() async {
    visitors += 1
    if !isOpen { await withCheckedContinuation { waiting.append($0) } }
    passed += 1
  }

  /// Lets everybody go on who waits, and who comes later.
  func open() throws {
    isOpen = true
    for continuation in waiting { continuation.resume() }
    waiting = []
  }

  /// Lets the first of those who wait go on.
  func letOnePass() { waiting.removeFirst().resume() }

  func waitForVisitors(_ count: Int) async throws {
    guard await eventually({ visitors >= count }) else { throw TestError("only \(visitors) of \(count) came") }
  }
}
