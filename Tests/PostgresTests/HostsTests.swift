import EventLoop
import Postgres
import TestSupport
import Testing

/// Addresses that name several servers, some of which are of no use.
@Suite("several hosts", .serialized)
struct HostsTests {
  @Test("behind a host that is silent the next one is found, for requests and for snapshots")
  func silentFirst() async throws {
    try await Cluster.run { cluster in
      let silent = try SilentPort()
      // Twice: each takes its own time, and not the time of all.
      let url = cluster.url.replacing("host=", with: "host=127.0.0.1,localhost,") + "&port=\(silent.port),\(silent.port),5432"
      try await withClient(to: url) { test async throws in
        #expect(try await test.client.readOne("SELECT 1::bigint", as: Int64.self) == 1)
        #expect(try await test.client.writeOne("SELECT 2::bigint", as: Int64.self) == 2)
      }
      let reader = try SnapshotReader(ConnectionSettings(url: url, applicationName: "test"))
      #expect(try reader.one("SELECT 3::bigint", as: Int64.self) == 3)
      withExtendedLifetime(silent) {}
    }
  }

  @Test("where all are silent statements are told so, and which they are")
  func allSilent() async throws {
    let silent = try SilentPort()
    let port = silent.port
    try await withClient(to: "postgresql://127.0.0.1:\(port),localhost:\(port)/x?connect_timeout=2") { test async throws in
      let error = await #expect(throws: PostgresError.self) { try await test.client.readOne("SELECT 1::bigint", as: Int64.self) }
      #expect(error?.kind == .unavailable)
      #expect(error?.message.contains("127.0.0.1, port \(port): no answer within 2") == true)
      #expect(error?.message.contains("localhost (127.0.0.1), port \(port): no answer") == true)
    }
    withExtendedLifetime(silent) {}
  }

  @Test("of a standby and a primary the one is taken that the address asks for, in any order")
  func standbyFirst() async throws {
    try await Cluster.run { primary in
      try await Cluster.run { standby in
        try await standby.stop()
        try await standby.start(asStandby: true)
        let both = "postgresql:///postgres?host=\(standby.folderPath),\(primary.folderPath)&user=postgres"
        for (attributes, isStandby) in [
          ("any", true), ("read-write", false), ("primary", false), ("standby", true), ("prefer-standby", true),
        ] {
          try await withClient(to: "\(both)&target_session_attrs=\(attributes)") { test async throws in
            #expect(try await test.client.readOne("SELECT pg_is_in_recovery()", as: Bool.self) == isStandby)
          }
        }
        let onlyPrimary = "\(primary.url)&target_session_attrs"
        try await withClient(to: "\(onlyPrimary)=prefer-standby") { test async throws in
          #expect(try await test.client.readOne("SELECT pg_is_in_recovery()", as: Bool.self) == false)
        }
        try await withClient(to: "\(onlyPrimary)=standby") { test async throws in
          let error = await #expect(throws: PostgresError.self) { try await test.client.readOne("SELECT true", as: Bool.self) }
          #expect(error?.kind == .unavailable)
        }
      }
    }
  }

  @Test("a statement that is tried out has a session of its own, which ends with it")
  func tryOut() async throws {
    try await withClient { test async throws in
      let pid = try await test.client.readOne("SELECT pg_backend_pid()::bigint", as: Int64.self)
      try await test.client.tryOut("SELECT 1 / (pg_backend_pid() - \(pid ?? 0))")
      await #expect(throws: PostgresError.self) { try await test.client.tryOut("SELECT 1 / 0") }
      let isOver = try await eventually {
        try await test.client.readOne("SELECT count(*) FROM pg_stat_activity WHERE application_name = \(test.name)", as: Int64.self) == 1
      }
      #expect(isOver)
    }
  }
}
