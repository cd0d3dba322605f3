import EventLoop
import Postgres
import TestSupport
import Testing

/// Sessions that end, and servers that go away.
@Suite("lost connections", .serialized)
struct ReconnectTests {
  @Test("after its sessions were ended between statements the next ones are answered as if nothing had been")
  func betweenStatements() async throws {
    try await withClient { test async throws in
      try await withClient { operatorOfDatabase async throws in
        let failures = Failures()
        test.client.onFailure { failures.all.append($0) }
        for round in 0..<5 {
          #expect(try await test.client.readOne("SELECT \(round)", as: Int64.self) == Int64(round))
          #expect(try await test.client.writeOne("SELECT \(round) + 1", as: Int64.self) == Int64(round) + 1)
          #expect(try await operatorOfDatabase.client.terminate(test.name) == 2)
          // Once both have been noticed.
          #expect(await eventually { failures.all.count == 2 * (round + 1) })
        }
        #expect(test.client.reconnects > 5)
      }
    }
  }

  @Test("when its session is ended under them all reads come back, each with its own answer", arguments: [true, false])
  func duringReads(prepares: Bool) async throws {
    try await withClient(preparesStatements: prepares) { test async throws in
      try await withClient { operatorOfDatabase async throws in
        async let terminated: Void = {
          try await operatorOfDatabase.client.waitUntilBusy(test.name)
          try await operatorOfDatabase.client.terminate(test.name)
        }()
        let results = await PipelineTests.each(300) { index in
          try await test.client.readOne("SELECT \(index) FROM pg_sleep(\(index == 150 ? 6.0 : 0.0))", as: Int64.self)
        }
        try await terminated
        for (index, result) in results.enumerated() { #expect(try result.get() == Int64(index)) }
        #expect(test.client.reconnects == 1)
      }
    }
  }

  @Test("when its session is ended again and again under a read it fails in the end, and the next is answered")
  func terminatedAgain() async throws {
    try await withClient { test async throws in
      try await withClient { operatorOfDatabase async throws in
        async let terminated: Void = {
          for round in 0..<2 {
            guard await eventually({ await test.client.reconnects == round }) else { throw TestError("not connected again") }
            try await operatorOfDatabase.client.waitUntilBusy(test.name)
            try await operatorOfDatabase.client.terminate(test.name)
          }
        }()
        let error = await #expect(throws: PostgresError.self) {
          try await test.client.readOne("SELECT 7::bigint FROM pg_sleep(30)", as: Int64.self)
        }
        try await terminated
        #expect(error?.kind == .connectionLost)
        #expect(try await test.client.readOne("SELECT 8::bigint", as: Int64.self) == 8)
      }
    }
  }

  @Test("when their sessions are ended under them writes fail, are done at most once, and those that were not are not done later")
  func duringWrites() async throws {
    try await withClient(writeConnections: 3) { test async throws in
      try await withClient { operatorOfDatabase async throws in
        try await operatorOfDatabase.client.execute("DROP TABLE IF EXISTS test_lost")
        try await operatorOfDatabase.client.execute("CREATE TABLE test_lost (id bigint)")
        async let terminated: Void = {
          try await operatorOfDatabase.client.waitUntilBusy(test.name, sessions: 3)
          try await operatorOfDatabase.client.terminate(test.name)
        }()
        let results = await PipelineTests.each(90) { index in
          try await test.client.writeOne(
            "INSERT INTO test_lost SELECT \(index) FROM pg_sleep(\(index / 30 == 1 ? 1.0 : 0.0)) RETURNING id", as: Int64.self)
        }
        try await terminated
        let written = Set(try await operatorOfDatabase.client.read("SELECT id FROM test_lost", as: Int64.self))
        let count = try await operatorOfDatabase.client.readOne("SELECT count(*) FROM test_lost", as: Int64.self)
        #expect(count == Int64(written.count))
        #expect(results.contains { $0.kind == .connectionLost })
        for (index, result) in results.enumerated() {
          switch result {
          case .success(let id):
            #expect(id == Int64(index))
            #expect(written.contains(Int64(index)))
          case .failure: #expect(result.kind == .connectionLost)
          }
        }
        #expect(try await test.client.writeOne("SELECT 8::bigint", as: Int64.self) == 8)
        #expect(try await operatorOfDatabase.client.readOne("SELECT count(*) FROM test_lost", as: Int64.self) == count)
      }
    }
  }

  @Test("while sessions are ended at random no read fails to come back with its own answer, or to say that it did not")
  func storm() async throws {
    try await withClient(writeConnections: 2) { test async throws in
      try await withClient { operatorOfDatabase async throws in
        let storm = startOnLoop {
          while !Task.isCancelled {
            try await operatorOfDatabase.client.terminate(test.name)
            await Loop.shared.sleep(.milliseconds(Int.random(in: 5...30)))
          }
        }
        var answered = 0
        for round in 0..<20 {
          let results = await PipelineTests.each(200) { index in
            let number = round * 1_000 + index
            return index % 4 == 0
              ? try await test.client.writeOne("SELECT \(number)", as: Int64.self)
              : try await test.client.readOne("SELECT \(number)", as: Int64.self)
          }
          for (index, result) in results.enumerated() {
            switch result {
            case .success(let number):
              answered += 1
              #expect(number == Int64(round * 1_000 + index))
            case .failure: #expect(result.kind == .connectionLost || result.kind == .unavailable)
            }
          }
        }
        storm.cancel()
        _ = await storm.result
        #expect(answered > 0)
        let answersAgain = await eventually { (try? await test.client.readOne("SELECT 7::bigint", as: Int64.self)) == 7 }
        #expect(answersAgain)
      }
    }
  }

  // MARK: Transactions

  @Test(
    "after its session was ended within a transaction its later statements fail, and are not run outside of it", arguments: [true, false])
  func withinTransaction(whileIdle: Bool) async throws {
    try await withClient(writeConnections: 1) { test async throws in
      try await withClient { operatorOfDatabase async throws in
        try await operatorOfDatabase.client.execute("DROP TABLE IF EXISTS test_lost_tx")
        try await operatorOfDatabase.client.execute("CREATE TABLE test_lost_tx (id bigint)")
        var later: [PostgresError.Kind?] = []
        let error = await #expect(throws: PostgresError.self) {
          later = try await test.client.transaction { transaction throws(PostgresError) in
            try await transaction.execute("INSERT INTO test_lost_tx VALUES (1)")
            let terminated = startOnLoop {
              if !whileIdle { try await operatorOfDatabase.client.waitUntilBusy(test.name) }
              try await operatorOfDatabase.client.terminate(test.name)
            }
            if !whileIdle { _ = try? await transaction.execute("SELECT pg_sleep(30)") }
            _ = await terminated.result
            await Loop.shared.sleep(.milliseconds(50))
            // Others go on meanwhile, on another connection.
            _ = try? await test.client.execute("INSERT INTO test_lost_tx VALUES (100)")
            var kinds: [PostgresError.Kind?] = []
            for id in 2...4 {
              kinds.append(await Result { try await transaction.execute("INSERT INTO test_lost_tx VALUES (\(id))") }.kind)
            }
            return kinds
          }
        }
        #expect(error?.kind == .connectionLost)
        #expect(later.isEmpty)
        #expect(try await operatorOfDatabase.client.read("SELECT id FROM test_lost_tx", as: Int64.self) == [100])
        // And the connection is given to the next.
        try await test.client.transaction { transaction throws(PostgresError) in
          try await transaction.execute("INSERT INTO test_lost_tx VALUES (200)")
        }
        #expect(try await operatorOfDatabase.client.read("SELECT id FROM test_lost_tx ORDER BY id", as: Int64.self) == [100, 200])
      }
    }
  }

  // MARK: Notifications

  @Test(
    "notifications come, whether one listens before or after the connection is made, and again after it was lost", arguments: [true, false])
  func notifications(listensFirst: Bool) async throws {
    try await withClient { test async throws in
      try await withClient { operatorOfDatabase async throws in
        let heard = Heard()
        if !listensFirst { _ = try await test.client.readOne("SELECT 1::bigint", as: Int64.self) }
        test.client.listen("LISTEN chatty_test_channel") { heard.channels.append($0) }
        if listensFirst { test.client.connect() }
        for round in 0..<3 {
          // It may be told before it listens: that is not yet heard.
          let isHeard = try await eventually {
            try await operatorOfDatabase.client.execute("SELECT pg_notify('chatty_test_channel', '')")
            return !heard.channels.isEmpty
          }
          #expect(isHeard)
          #expect(Set(heard.channels) == ["chatty_test_channel"])
          try await operatorOfDatabase.client.terminate(test.name)
          #expect(await eventually { test.client.reconnects > round })
          heard.channels = []
        }
      }
    }
  }

  @Worker
  final class Heard {
    var channels: [String] = []
  }

  // MARK: Servers of their own

  @Test("while the server is away everybody is told at once that it is, few attempts are made, and it is found again when it is back")
  func serverAway() async throws {
    try await Cluster.run { cluster in
      try await withClient(to: cluster.url, writeConnections: 2) { test async throws in
        let failures = Failures()
        test.client.onFailure { failures.all.append($0) }
        #expect(try await test.client.readOne("SELECT 1::bigint", as: Int64.self) == 1)
        #expect(try await test.client.writeOne("SELECT 2::bigint", as: Int64.self) == 2)
        for mode in [Cluster.StopMode.fast, .immediate] {
          try await cluster.stop(mode)
          failures.all = []
          for _ in 0..<100 {
            let read = await Result { try await test.client.readOne("SELECT 1::bigint", as: Int64.self) }
            #expect(read.kind == .unavailable)
            let write = await Result { try await test.client.writeOne("SELECT 2::bigint", as: Int64.self) }
            #expect(write.kind == .unavailable)
            let transaction = await Result {
              try await test.client.transaction { transaction throws(PostgresError) in try await transaction.execute("SELECT 1") }
            }
            #expect(transaction.kind == .unavailable)
          }
          // 300 statements, and not as many attempts: there is a pause after each.
          #expect(failures.all.count < 100)
          try await cluster.start()
          let isBack = await eventually {
            let read = try? await test.client.readOne("SELECT 3::bigint", as: Int64.self)
            let write = try? await test.client.writeOne("SELECT 4::bigint", as: Int64.self)
            return read == 3 && write == 4
          }
          #expect(isBack)
        }
      }
    }
  }

  @Test("a server that is killed under them: reads and writes in flight fail or come back, and none hangs")
  func serverKilled() async throws {
    try await Cluster.run { cluster in
      try await withClient(to: cluster.url, writeConnections: 2) { test async throws in
        let statements = startOnLoop {
          await PipelineTests.each(60) { index in
            index % 2 == 0
              ? try await test.client.readOne("SELECT \(index) FROM pg_sleep(0.2)", as: Int64.self)
              : try await test.client.writeOne("SELECT \(index) FROM pg_sleep(0.2)", as: Int64.self)
          }
        }
        try await withClient(to: cluster.url) { try await $0.client.waitUntilBusy(test.name, sessions: 3) }
        try await cluster.stop(.immediate)
        var failures = 0
        for (index, result) in try await statements.value.enumerated() {
          switch result {
          case .success(let number): #expect(number == Int64(index))
          case .failure:
            failures += 1
            #expect(result.kind == .connectionLost || (index % 2 == 0 && result.kind == .unavailable))
          }
        }
        #expect(failures > 0)
        try await cluster.start()
      }
    }
  }

  @Test("a connection that cannot be made does not take the writes away from those that are")
  func connectionLimit() async throws {
    try await Cluster.run { cluster in
      try await withClient(to: cluster.url) { test async throws in
        try await test.client.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 3")
      }
      let url = cluster.url.replacing("user=postgres", with: "user=few")
      try await withClient(to: url, writeConnections: 6) { test async throws in
        _ = try await test.client.readOne("SELECT 1::bigint", as: Int64.self)
        var failures = 0
        for round in 0..<40 {
          let results = await PipelineTests.each(6) { index in
            try await test.client.writeOne("SELECT \(index)", as: Int64.self)
          }
          // Those that met the attempt itself were never sent: they are told so.
          for result in results where result.kind != nil {
            #expect(result.kind == .unavailable)
            if round > 0 { failures += 1 }
          }
          // Alone there is always a connection for it.
          #expect(try await test.client.writeOne("SELECT \(round)", as: Int64.self) == Int64(round))
        }
        #expect(failures < 40)
      }
    }
  }

  @Test("where there is no server, no such role or database, and where the address makes no sense, statements are told so")
  func nowhere() async throws {
    let folder = try TemporaryFolder()
    for url in ["postgresql:///x?host=\(folder.path)", "postgresql://127.0.0.1:1/x", "host=/nowhere", "postgresql://[", "nonsense=1"] {
      try await withClient(to: url) { test async throws in
        for _ in 0..<3 {
          let result = await Result { try await test.client.readOne("SELECT 1::bigint", as: Int64.self) }
          #expect(result.kind == .unavailable)
        }
      }
    }
    let url = try TestDatabase.url
    try await withClient(to: url, user: "nobody_of_this_name") { test async throws in
      let result = await Result { try await test.client.writeOne("SELECT 1::bigint", as: Int64.self) }
      #expect(result.kind == .unavailable)
    }
  }

  @Test("a closed client answers what was in flight with an error, reads too")
  func close() async throws {
    try await withClient { test async throws in
      let tasks = [
        startOnLoop { try await test.client.readOne("SELECT 1::bigint FROM pg_sleep(30)", as: Int64.self) },
        startOnLoop { try await test.client.writeOne("SELECT 1::bigint FROM pg_sleep(30)", as: Int64.self) },
      ]
      try await withClient { try await $0.client.waitUntilBusy(test.name, sessions: 2) }
      test.client.close()
      for task in tasks { #expect(await task.result.kind == .connectionLost) }
    }
  }

  @Worker
  final class Failures {
    var all: [PostgresError] = []
  }
}
