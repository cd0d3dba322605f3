import EventLoop
import FastCGI
import TestSupport
import Testing

/// How many requests at once, and how it ends.
@Suite("limits and drain of a responder")
struct LimitTests {
  @Test("hundreds of requests are in flight at once, and every answer goes to its own asker, in whatever order they are ready")
  func hundredsInFlight() async throws {
    let count = 400
    var limits = Responder.Limits()
    limits.requestsInFlight = count
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start(limits: limits) { request in
      await gate.pass()
      // Out of order, and each more than once away from the loop.
      for _ in 0..<Int.random(in: 0..<4) { await Loop.shared.sleep(.milliseconds(Int.random(in: 0..<20))) }
      return Response(headers: [("Target", request.target)], body: request.body)
    }
    let thread = ThreadExecutor()
    var clients: [FastCGIClient] = []
    for _ in 0..<count { clients.append(try await server.client(on: thread)) }
    for (index, client) in clients.enumerated() {
      try await client.send(ClientRequest("POST", "/\(index)", body: Array("body \(index)".utf8)).bytes)
    }
    try await gate.waitForVisitors(count)
    try await gate.open()
    for (index, client) in clients.enumerated() {
      let response = try await client.response()
      #expect(response["Target"] == "/\(index)" && response.text == "body \(index)")
    }
    thread.stop()
  }

  @Test("at its limit a worker begins no request, of new connections or of kept ones, and goes on as others end")
  func limit() async throws {
    var limits = Responder.Limits()
    limits.requestsInFlight = 3
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start(limits: limits) { request in
      if request.target != "/free" { await gate.pass() }
      return Response(headers: [("Target", request.target)])
    }
    let thread = ThreadExecutor()
    var clients: [FastCGIClient] = []
    for index in 0..<10 {
      let client = try await server.client(on: thread)
      // Half of them are kept connections by then.
      if index % 2 == 0 { _ = try await client.get("/free") }
      clients.append(client)
    }
    for (index, client) in clients.enumerated() { try await client.send(ClientRequest.get("/\(index)").bytes) }
    try await gate.waitForVisitors(3)
    for passed in 0..<7 {
      try await Task.sleep(for: .milliseconds(20))
      let visitors = try await onLoop { gate.visitors }
      #expect(visitors == 3 + passed)
      try await onLoop { gate.letOnePass() }
      try await gate.waitForVisitors(4 + passed)
    }
    try await gate.open()
    for (index, client) in clients.enumerated() { #expect(try await client.response()["Target"] == "/\(index)") }
    thread.stop()
  }

  @Test("a limit of one handles one request at a time")
  func oneAtATime() async throws {
    var limits = Responder.Limits()
    limits.requestsInFlight = 1
    let running = try await onLoop { Running() }
    let server = try await TestServer.start(limits: limits) { request in
      await running.run()
      return Response(headers: [("Target", request.target)])
    }
    let thread = ThreadExecutor()
    var clients: [FastCGIClient] = []
    for _ in 0..<20 { clients.append(try await server.client(on: thread)) }
    for (index, client) in clients.enumerated() { try await client.send(ClientRequest.get("/\(index)").bytes) }
    for (index, client) in clients.enumerated() { #expect(try await client.response()["Target"] == "/\(index)") }
    #expect(try await onLoop { running.most } == 1)
    thread.stop()
  }

  @Test("a request that came in pieces, and whole only when the worker was at its limit, is not dropped for being late")
  func piecesAtTheLimit() async throws {
    var limits = Responder.Limits()
    limits.receiveTimeout = .seconds(3)
    limits.requestsInFlight = 1
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start(limits: limits) { request in
      if request.target == "/gate" { await gate.pass() }
      return Response(headers: [("Target", request.target)])
    }
    let other = try await server.client()
    _ = try await other.get("/kept")
    let inPieces = try await server.client()
    let request = ClientRequest.get("/pieces").bytes
    try await inPieces.send(Array(request[..<20]))
    try await other.send(ClientRequest.get("/gate").bytes)
    try await gate.waitForVisitors(1)
    try await inPieces.send(Array(request[20...]))
    // Longer than an incomplete request is waited for.
    try await Task.sleep(for: .seconds(4))
    try await gate.open()
    #expect(try await other.response()["Target"] == "/gate")
    #expect(try await inPieces.response()["Target"] == "/pieces")
  }

  @Test("requests that have come in part take nobody's place, however many they are")
  func arriving() async throws {
    var limits = Responder.Limits()
    limits.receiveTimeout = .seconds(3_600)
    limits.requestsInFlight = 1
    let server = try await TestServer.start(limits: limits) { Response(headers: [("Target", $0.target)], body: $0.body) }
    let thread = ThreadExecutor()
    let small = ClientRequest.get("/pieces").bytes
    let large = ClientRequest("POST", "/pieces", body: RequestTests.noise(200_000)).bytes
    var halves: [FastCGIClient] = []
    for number in 0..<40 {
      let client = try await server.client(on: thread)
      // Of every length: a byte, a part of the parameters, or all but the end of the body.
      try await client.send(Array(number % 4 == 0 ? large.dropLast(1) : small.prefix(number)))
      halves.append(client)
    }
    for number in 0..<20 { #expect(try await server.client(on: thread).get("/\(number)")["Target"] == "/\(number)") }
    for (number, client) in halves.enumerated() {
      try await client.send(Array(number % 4 == 0 ? large.suffix(1) : small.dropFirst(number)))
      let response = try await client.response()
      #expect(response["Target"] == "/pieces" && response.body.count == (number % 4 == 0 ? 200_000 : 0))
    }
    thread.stop()
  }

  @Test("one that is in work and one that has come in part leave a place")
  func arrivingBesideAnother() async throws {
    var limits = Responder.Limits()
    limits.receiveTimeout = .seconds(3_600)
    limits.requestsInFlight = 2
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start(limits: limits) { request in
      if request.target == "/gate" { await gate.pass() }
      return Response(headers: [("Target", request.target)])
    }
    let inPieces = try await server.client()
    let request = ClientRequest.get("/pieces").bytes
    try await inPieces.send(Array(request[..<20]))
    let begun = try await server.client()
    try await begun.send(ClientRequest.get("/gate").bytes)
    try await gate.waitForVisitors(1)
    #expect(try await server.client().get("/other")["Target"] == "/other")
    try await gate.open()
    try await inPieces.send(Array(request[20...]))
    #expect(try await begun.response()["Target"] == "/gate")
    #expect(try await inPieces.response()["Target"] == "/pieces")
  }

  @Test("of more than may come in part at once those are dropped that have been on their way for longest")
  func tooManyInPart() async throws {
    var limits = Responder.Limits()
    limits.receiveTimeout = .seconds(3_600)
    limits.requestsInFlight = 1
    limits.partialRequests = 3
    let server = try await TestServer.start(limits: limits) { Response(headers: [("Target", $0.target)]) }
    let thread = ThreadExecutor()
    let request = ClientRequest.get("/pieces").bytes
    var halves: [FastCGIClient] = []
    for number in 0..<5 {
      let client = try await server.client(on: thread)
      try await client.send(Array(request[..<20]))
      halves.append(client)
      // One after the other: an answer to somebody else tells that it has been looked at.
      #expect(try await server.client(on: thread).get("/\(number)").status == 200)
    }
    for client in halves[..<2] { #expect(try await client.receiveToEnd().isEmpty) }
    for client in halves[2...] {
      try await client.send(Array(request[20...]))
      #expect(try await client.response()["Target"] == "/pieces")
    }
    thread.stop()
  }

  @Test("who leaves while waiting for the limit is forgotten")
  func leavesWhileWaiting() async throws {
    var limits = Responder.Limits()
    limits.requestsInFlight = 1
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start(limits: limits) { request in
      await gate.pass()
      return Response(headers: [("Target", request.target)])
    }
    let thread = ThreadExecutor()
    var kept: [FastCGIClient] = []
    for index in 0..<6 {
      let client = try await server.client(on: thread)
      try await client.send(ClientRequest.get("/\(index)").bytes)
      if index == 0 { try await gate.waitForVisitors(1) }
      if index % 2 == 1 { await client.close() } else { kept.append(client) }
    }
    try await gate.open()
    for (index, client) in kept.enumerated() { #expect(try await client.response()["Target"] == "/\(index * 2)") }
    #expect(try await server.client().get("/after")["Target"] == "/after")
    thread.stop()
  }

  // MARK: Drain

  @Test("a draining worker answers what it has, serves its kept connections until their peers close them, takes no new one, and ends")
  func drain() async throws {
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start { request in
      if request.target == "/gate" { await gate.pass() }
      return Response(headers: [("Target", request.target)])
    }
    let busy = try await server.client()
    try await busy.send(ClientRequest.get("/gate").bytes)
    let kept = try await server.client()
    _ = try await kept.get("/")
    try await gate.waitForVisitors(1)

    let ended = try await onLoop { Flag() }
    let drain = try await onLoop {
      Loop.start { [responder = server.responder] in
        await responder.drain()
        ended.isSet = true
      }
    }
    // The drain has begun once a new connection is left alone.
    let newcomer = try await server.client()
    try await newcomer.send(ClientRequest.get("/new").bytes)
    for number in 0..<50 { #expect(try await kept.get("/\(number)")["Target"] == "/\(number)") }
    #expect(await newcomer.hasSomethingToRead() == false)
    try await gate.open()
    #expect(try await busy.response()["Target"] == "/gate")
    #expect(try await busy.get("/again")["Target"] == "/again")
    #expect(try await onLoop { ended.isSet } == false)
    await busy.close()
    #expect(try await kept.get("/last")["Target"] == "/last")
    #expect(try await onLoop { ended.isSet } == false)
    await kept.close()
    await drain.value
    #expect(await newcomer.hasSomethingToRead() == false)
  }

  @Test("a worker without connections is drained at once")
  func drainIdle() async throws {
    let server = try await TestServer.start { _ in Response() }
    await server.responder.drain()
  }

  @Test("connections that their peers never close end a drain at its hard limit; idle ones are closed then")
  func drainLimit() async throws {
    let gate = try await onLoop { Gate() }
    let server = try await TestServer.start(limits: ConnectionTests.short) { request in
      if request.target == "/gate" { await gate.pass() }
      return Response()
    }
    let idle = try await server.client()
    _ = try await idle.get("/")
    let busy = try await server.client()
    try await busy.send(ClientRequest.get("/gate").bytes)
    try await gate.waitForVisitors(1)
    await server.responder.drain()
    #expect(try await idle.receiveToEnd().isEmpty)
    try await gate.open()
    #expect(try await busy.response().status == 200)
  }
}

@Worker
private final class Running {
  private var now = 0
  private(set) var most = 0

  func run() async {
    now += 1
    most = max(most, now)
    await Loop.shared.sleep(.milliseconds(2))
    now -= 1
  }
}

@Worker
private final class Flag {
  var isSet = false
}
