import Foundation
import Glibc
import ServiceKit
import TestSupport
import Testing

/// A service as a process of its own: signals, settings and the log.
@Suite("a worker process")
struct WorkerProcessTests {
  private let key = SigningKey()

  private func start(_ environment: [String: String] = [:]) async throws -> ProbeProcess {
    try await .start(keys: JSONWebKeySet(keys: [key.publicKey]).encoded(), environment: environment)
  }

  /// What it has logged, line by line.
  private static func lines(_ probe: ProbeProcess) throws -> [JSONBody] {
    let text = probe.log
    guard text.isEmpty || text.hasSuffix("\n") else { throw TestError("a line without end: \(text)") }
    return try text.split(separator: "\n").map { line in
      guard let line = try? JSONDecoder().decode(JSONBody.self, from: Data(line.utf8)) else { throw TestError("no JSON: \(line)") }
      return line
    }
  }

  // MARK: Requests

  @Test("it answers from its database, and an error of one request is nobody else's")
  func answers() async throws {
    let probe = try await start()
    let client = try await probe.client()
    for number: Int64 in [1, 2, .max] { #expect(try await client.get("/number/\(number)").json == ["number": .integer(number)]) }
    #expect(try await client.get("/failure").status == 500)
    #expect(try await client.get("/number/3").json == ["number": 3])
    #expect(try await client.get("/large/1000000").body.count > 1_000_000)
    let long = String(repeating: "x", count: 2_000_000)
    #expect(try await client.post("/length", #"{"text": "\#(long)"}"#).json == ["length": 2_000_000])
    await client.close()
    #expect(try await probe.terminate() == 0)
  }

  @Test("hundreds of requests at once, over as many connections, get their own answers from one database connection")
  func hundreds() async throws {
    let probe = try await start(["CHATTY_IN_FLIGHT": "300"])
    let thread = ThreadExecutor()
    var clients: [FastCGIClient] = []
    for _ in 0..<300 { clients.append(try await probe.client(on: thread)) }
    for round in 0..<3 {
      for (index, client) in clients.enumerated() {
        try await client.send(ClientRequest.get(index % 7 == 6 ? "/failure" : "/number/\(round * 1_000 + index + 1)").bytes)
      }
      for (index, client) in clients.enumerated() {
        let response = try await client.response()
        if index % 7 == 6 {
          #expect(response.status == 500)
        } else {
          #expect(response.json == ["number": .integer(Int64(round * 1_000 + index + 1))])
        }
      }
    }
    for client in clients { await client.close() }
    thread.stop()
    #expect(try await probe.terminate() == 0)
  }

  @Test("without a descriptor for another connection it serves those it has, does not turn in circles, and goes on when it has one")
  func outOfDescriptors() async throws {
    let probe = try await start()
    let process = probe.process.id
    let first = try await probe.client()
    #expect(try await first.get("/number/1").json == ["number": 1])
    let open = Set(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").compactMap { Int($0) })
    let free = try #require((0...open.count).first { !open.contains($0) })
    try await Self.limitDescriptors(of: process, to: free)
    let second = try await probe.client()
    try await second.send(ClientRequest.get("/number/2").bytes)
    let before = try Self.processorTime(of: process)
    for _ in 0..<20 {
      #expect(try await first.get("/number/3").json == ["number": 3])
      try await Task.sleep(for: .milliseconds(50))
    }
    // Of a second in which it had twenty small requests.
    #expect(try Self.processorTime(of: process) - before < 0.5)
    #expect(await second.hasSomethingToRead() == false)
    try await Self.limitDescriptors(of: process, to: 1_000)
    #expect(try await second.response().json == ["number": 2])
    for client in [first, second] { await client.close() }
    #expect(try await probe.terminate() == 0)
  }

  private static func limitDescriptors(of process: pid_t, to limit: Int) async throws {
    let tool = try ChildProcess(
      ["/usr/bin/prlimit", "--pid", "\(process)", "--nofile=\(limit):"], environment: [:], input: STDIN_FILENO, output: STDERR_FILENO)
    #expect(try await tool.waitForExit() == 0)
  }

  /// In seconds, of user and system (proc(5), `utime` and `stime`, after the name in parentheses).
  private static func processorTime(of process: pid_t) throws -> Double {
    let line = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
    let fields = try #require(line.split(separator: ")").last).split(separator: " ")
    let ticks = try #require(fields.count > 12 ? Double(fields[11]) : nil) + (try #require(Double(fields[12])))
    return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  // MARK: Signals

  @Test("an idle worker ends at once when it is told to", arguments: [SIGTERM, SIGINT, SIGUSR1])
  func terminateIdle(signal: Int32) async throws {
    let probe = try await start()
    // It has started once it answers.
    let client = try await probe.client()
    _ = try await client.get("/number/1")
    await client.close()
    probe.process.signal(signal)
    #expect(try await probe.process.waitForExit() == 0)
    #expect(try Self.lines(probe).compactMap { $0["message"] }.suffix(2) == ["draining", "stopped"])
  }

  @Test("a signal that comes before it has started to serve ends it in order too")
  func terminateEarly() async throws {
    for delay in [0, 1_000, 5_000, 20_000] as [UInt32] {
      let probe = try await start()
      try await onOwnThread { _ = usleep(delay) }
      probe.process.signal(SIGTERM)
      // Before it could block the signal it dies of it; never does it hang.
      #expect([0, -SIGTERM].contains(try await probe.process.waitForExit()))
    }
  }

  @Test("told to end during a request it answers that, serves its kept connections until they are closed, and ends with status 0")
  func terminateBusy() async throws {
    let probe = try await start()
    let busy = try await probe.client()
    let kept = try await probe.client()
    let partial = try await probe.client()
    _ = try await kept.get("/number/1")
    try await busy.send(ClientRequest.get("/wait/500").bytes)
    let late = ClientRequest.post("/length", #"{"text": "four"}"#).bytes
    try await partial.send(Array(late[..<20]))
    // Both have been accepted once a later request is answered.
    _ = try await kept.get("/number/2")

    probe.process.signal(SIGTERM)
    probe.process.signal(SIGTERM)
    #expect(try await busy.response().status == 200)
    try await partial.send(Array(late[20...]))
    #expect(try await partial.response().json == ["length": 4])
    for number: Int64 in 3...30 { #expect(try await kept.get("/number/\(number)").json == ["number": .integer(number)]) }
    let newcomer = try await probe.client()
    try await newcomer.send(ClientRequest.get("/number/1").bytes)
    await busy.close()
    await partial.close()
    #expect(try await kept.get("/number/31").status == 200)
    #expect(await newcomer.hasSomethingToRead() == false)
    await kept.close()
    #expect(try await probe.process.waitForExit() == 0)
    #expect(try Self.lines(probe).last?["message"] == "stopped")
  }

  @Test("signals at any moment of a request, while it is read or written, do not break it")
  func signalsAnytime() async throws {
    let probe = try await start()
    let client = try await probe.client()
    _ = try await client.get("/number/1")
    let process = probe.process
    let storm = Task {
      try await onOwnThread {
        for _ in 0..<300 {
          process.signal(SIGTERM)
          usleep(1_000)
        }
      }
    }
    let text = String(repeating: "x", count: 300_000)
    for _ in 0..<30 {
      #expect(try await client.post("/length", #"{"text": "\#(text)"}"#).json == ["length": 300_000])
      #expect(try await client.get("/large/500000").status == 200)
      #expect(try await client.get("/number/7").json == ["number": 7])
    }
    try await storm.value
    await client.close()
    #expect(try await probe.process.waitForExit() == 0)
  }

  // MARK: Settings

  @Test(
    "a setting that is wrong is one line that names it, and status 78",
    arguments: [("CHATTY_IN_FLIGHT", "many"), ("CHATTY_KEYS", "/nowhere"), ("CHATTY_DATABASE_URL", "x"), ("CHATTY_LOG_LEVEL", "loud")])
  func wrongSetting(name: String, value: String) async throws {
    let probe = try await start([name: value])
    #expect(try await probe.process.waitForExit() == 78)
    #expect(probe.log.hasPrefix("chatty: \(name) "))
    #expect(probe.log.count { $0 == "\n" } == 1 && probe.log.hasSuffix("\n"))
  }

  @Test("keys that are none are told in the same way")
  func wrongKeys() async throws {
    let probe = try await ProbeProcess.start(keys: Data(#"{"keys": []}"#.utf8))
    #expect(try await probe.process.waitForExit() == 78)
    #expect(probe.log.hasPrefix("chatty: CHATTY_KEYS "))
  }

  // MARK: Log

  @Test("every line of the log is one JSON object, whatever is logged and whatever the server remarks")
  func log() async throws {
    let probe = try await start()
    let client = try await probe.client()
    let texts = [
      "plain", "\"quoted\" \\ back", "two\nlines\r\n\tand tabs", "a\u{1}\u{1f}\u{7f}z", "äöü 🎈 \u{2028}\u{2029}\u{feff}", "}{\"a\":1}", "",
      String(repeating: "long ", count: 3_000), "level", "message",
    ]
    for text in texts {
      let body = String(decoding: try JSONEncoder().encode(["text": text]), as: UTF8.self)
      #expect(try await client.post("/log", body).status == 200)
    }
    #expect(try await client.get("/notice").status == 200)
    #expect(try await client.get("/failure", [("REQUEST_ID", "abc-123")]).status == 500)
    await client.close()
    #expect(try await probe.terminate() == 0)

    let lines = try Self.lines(probe)
    let logged = lines.filter { $0["nested"] != nil }
    #expect(logged.compactMap { $0["level"] }.allSatisfy { $0 == "notice" } && logged.count == texts.count)
    for (line, text) in zip(logged, texts) where text != "message" && text != "level" {
      // The probe logs a field of its request, in which CR LF is a line break like any other.
      #expect(line["message"] == .string(text.trimmed.replacing("\r\n", with: "\n")))
    }
    #expect(!probe.log.contains("a remark"))

    let failure = lines.first { $0["request_id"] == "abc-123" }
    #expect(failure?["level"] == "error")
    #expect(failure?["service"] == "probe")
    #expect(failure?["method"] == "GET" && failure?["route"] == "/failure" && failure?["status"] == "500")
    #expect(failure?["cause"] == "22012: division by zero")
    #expect(failure?["duration_ms"] != nil && failure?["pid"] != nil)
    if case .string(let time)? = failure?["time"] {
      #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/) != nil)
    } else {
      Issue.record("a line without a time")
    }
  }

  @Test("a line tells who called, and never the token")
  func caller() async throws {
    let probe = try await start(["CHATTY_PUBLIC_URL": "https://chatty.example"])
    let client = try await probe.client()
    let token = try key.sign(
      AccessToken(issuer: "https://chatty.example", userID: 7, sessionID: 9, now: Int64(Date().timeIntervalSince1970)))
    let response = try await client.get("/me", .bearer(token) + [("REQUEST_ID", "request-1")])
    #expect(response.json == ["user_id": 7, "session_id": 9])
    await client.close()
    #expect(try await probe.terminate() == 0)
    let lines = try Self.lines(probe).filter { $0["request_id"] == "request-1" }
    #expect(lines.map { $0["message"] } == ["asked who it is", "request"])
    #expect(lines.allSatisfy { $0["user_id"] == "7" && $0["route"] == "/me" })
    #expect(!probe.log.contains(token.suffix(20)))
  }
}

extension String {
  /// As `Input.text` gives it.
  fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
