import EventLoop
import Glibc
import Postgres
import Synchronization
import TestSupport
import Testing

/// Looking names up while the loop goes on, with name servers that fail and that are silent.
@Suite("host names")
struct HostNamesTests {
  /// A name server of the tests.
  private final class Resolver: Sendable {
    enum State {
      case answers([String])
      case fails
      case isSilent
    }

    private let state = Mutex(State.fails)
    let asked = Atomic<Int>(0)

    func set(_ new: State) { state.withLock { $0 = new } }

    /// Blocks while it is silent.
    func resolve(_ name: String) -> HostNames.Answer {
      asked.add(1, ordering: .relaxed)
      while true {
        switch state.withLock({ $0 }) {
        case .answers(let addresses): return .success(addresses)
        case .fails: return .failure(PostgresError(.unavailable, "no such name"))
        case .isSilent: usleep(5_000)
        }
      }
    }
  }

  /// nil if there are none.
  @Worker
  private func addresses(_ names: HostNames, within patience: Duration = .seconds(30)) async -> [String]? {
    await withUnsafeContinuation { continuation in
      names.addresses(of: "db.example", within: patience) { continuation.resume(returning: try? $0.get()) }
    }
  }

  @Test("a new answer takes the place of the last one, and the last one stands in for those that do not come")
  func lastAnswer() async throws {
    let resolver = Resolver()
    try await onLoop {
      let names = HostNames { resolver.resolve($0) }
      #expect(await addresses(names) == nil)
      resolver.set(.answers(["192.0.2.1"]))
      #expect(await addresses(names) == ["192.0.2.1"])
      resolver.set(.answers(["192.0.2.2", "2001:db8::2"]))
      #expect(await addresses(names) == ["192.0.2.2", "2001:db8::2"])
      resolver.set(.fails)
      #expect(await addresses(names) == ["192.0.2.2", "2001:db8::2"])
      resolver.set(.answers([]))
      #expect(await addresses(names) == ["192.0.2.2", "2001:db8::2"])
      resolver.set(.isSilent)
      #expect(await addresses(names) == ["192.0.2.2", "2001:db8::2"])
      resolver.set(.answers(["192.0.2.3"]))
      #expect(await eventually { await addresses(names) == ["192.0.2.3"] })
    }
  }

  @Test("a name server that is silent is asked once for all who wait, and holds up neither them for ever nor the loop")
  func silent() async throws {
    let resolver = Resolver()
    resolver.set(.isSilent)
    defer { resolver.set(.fails) }
    try await onLoop {
      let names = HostNames { resolver.resolve($0) }
      let waiting = (0..<5).map { _ in startOnLoop { await addresses(names, within: .milliseconds(200)) } }
      // Only a loop that goes on gives them their answers: the look-up itself never ends.
      for wait in waiting {
        let found = try await wait.value
        #expect(found == nil)
      }
      #expect(resolver.asked.load(ordering: .relaxed) == 1)
    }
  }

  @Test("the system's own names are found")
  func system() throws {
    let addresses = try HostNames.lookUp("localhost").get()
    #expect(addresses.contains("127.0.0.1") || addresses.contains("::1"))
    #expect(Set(addresses).count == addresses.count)
  }
}
