import EventLoop
import Postgres
import TestSupport
import Testing

@Suite("writes and transactions", .serialized)
struct WriteTests {
  // MARK: Writes

  @Test("writes that are in flight together are spread over the connections, up to the limit")
  func spread() async throws {
    try await withClient(writeConnections: 4) { test async throws in
      let sessions = await PipelineTests.each(40) { _ in
        try await test.client.writeOne("SELECT pg_backend_pid()::bigint FROM pg_sleep(0.01)", as: Int64.self)
      }
      #expect(Set(try sessions.map { try $0.get() }).count == 4)
    }
  }

  @Test("writes one after another need one connection")
  func oneByOne() async throws {
    try await withClient(writeConnections: 4) { test async throws in
      var sessions: Set<Int64?> = []
      for _ in 0..<10 { sessions.insert(try await test.client.writeOne("SELECT pg_backend_pid()::bigint", as: Int64.self)) }
      #expect(sessions.count == 1)
    }
  }

  @Test("each write is a transaction of its own: one that fails takes none of its neighbours along")
  func ownTransactions() async throws {
    try await withClient(writeConnections: 2) { test async throws in
      try await test.client.execute("DROP TABLE IF EXISTS test_write")
      try await test.client.execute(
        "CREATE TABLE test_write (id bigint PRIMARY KEY CHECK (id % 3 <> 1), transaction bigint DEFAULT txid_current())")
      let results = await PipelineTests.each(300) { index in
        try await test.client.writeOne("INSERT INTO test_write VALUES (\(index)) RETURNING id", as: Int64.self)
      }
      for (index, result) in results.enumerated() {
        if index % 3 == 1 { #expect(result.state == "23514") } else { #expect(try result.get() == Int64(index)) }
      }
      #expect(try await test.client.readOne("SELECT count(*) FROM test_write", as: Int64.self) == 200)
      #expect(try await test.client.readOne("SELECT count(DISTINCT transaction) FROM test_write", as: Int64.self) == 200)
    }
  }

  @Test("an error that comes only with the commit is a failure, although the statement had given its row")
  func deferredConstraint() async throws {
    try await withClient(writeConnections: 1) { test async throws in
      try await Self.makeDeferred(test.client)
      let results = await PipelineTests.each(30) { index in
        try await test.client.writeOne(
          "INSERT INTO test_deferred VALUES (\(index), \(index % 2 == 0 ? nil : 999_999)) RETURNING id", as: Int64.self)
      }
      for (index, result) in results.enumerated() {
        if index % 2 == 0 { #expect(try result.get() == Int64(index)) } else { #expect(result.state == "23503") }
      }
      #expect(try await test.client.readOne("SELECT count(*) FROM test_deferred", as: Int64.self) == 15)
    }
  }

  /// A table whose foreign key is checked when a transaction commits.
  static func makeDeferred(_ client: PostgresClient) async throws {
    try await client.execute("DROP TABLE IF EXISTS test_deferred")
    try await client.execute(
      """
      CREATE TABLE test_deferred (
        id bigint PRIMARY KEY, other bigint REFERENCES test_deferred DEFERRABLE INITIALLY DEFERRED
      )
      """)
  }

  // MARK: Transactions

  static func makeTable(_ client: PostgresClient) async throws {
    try await client.execute("DROP TABLE IF EXISTS test_transaction")
    try await client.execute("CREATE TABLE test_transaction (id bigint PRIMARY KEY)")
  }

  static func rows(_ client: PostgresClient) async throws -> [Int64] {
    try await client.read("SELECT id FROM test_transaction ORDER BY id", as: Int64.self)
  }

  @Test("what a transaction did is seen by others once its body has returned, and its value is returned")
  func commit() async throws {
    try await withClient { test async throws in
      try await Self.makeTable(test.client)
      let value = try await test.client.transaction { transaction throws(PostgresError) in
        for id in 1...3 { try await transaction.execute("INSERT INTO test_transaction VALUES (\(id))") }
        let inside = try await transaction.all("SELECT id FROM test_transaction", as: Int64.self)
        let outside = try await test.client.read("SELECT id FROM test_transaction", as: Int64.self)
        return [inside.count, outside.count]
      }
      #expect(value == [3, 0])
      #expect(try await Self.rows(test.client) == [1, 2, 3])
    }
  }

  @Test("nothing remains of a transaction whose body throws, and the error is the body's")
  func rollback() async throws {
    try await withClient { test async throws in
      try await Self.makeTable(test.client)
      let error = await #expect(throws: PostgresError.self) {
        try await test.client.transaction { transaction throws(PostgresError) in
          try await transaction.execute("INSERT INTO test_transaction VALUES (1)")
          throw PostgresError(.decoding, "a change of mind")
        }
      }
      #expect(error?.message == "a change of mind")
      let refused = await #expect(throws: PostgresError.self) {
        try await test.client.transaction { transaction throws(PostgresError) in
          try await transaction.execute("INSERT INTO test_transaction VALUES (2)")
          try await transaction.execute("INSERT INTO test_transaction VALUES (2)")
        }
      }
      #expect(refused?.sqlState == .uniqueViolation)
      #expect(try await Self.rows(test.client).isEmpty)
    }
  }

  @Test("a transaction one of whose statements failed has failed, even if its body did not mind")
  func swallowedError() async throws {
    try await withClient { test async throws in
      try await Self.makeTable(test.client)
      let error = await #expect(throws: PostgresError.self) {
        try await test.client.transaction { transaction throws(PostgresError) in
          try await transaction.execute("INSERT INTO test_transaction VALUES (1)")
          try? await transaction.execute("INSERT INTO test_transaction VALUES (1)")
        }
      }
      #expect(error?.sqlState?.rawValue == "25P02")
      #expect(try await Self.rows(test.client).isEmpty)
    }
  }

  @Test("an error that comes with COMMIT is a failure")
  func deferredInTransaction() async throws {
    try await withClient { test async throws in
      try await Self.makeDeferred(test.client)
      let error = await #expect(throws: PostgresError.self) {
        try await test.client.transaction { transaction throws(PostgresError) in
          try await transaction.execute("INSERT INTO test_deferred VALUES (1, 999)")
        }
      }
      #expect(error?.sqlState == .foreignKeyViolation)
      #expect(try await test.client.readOne("SELECT count(*) FROM test_deferred", as: Int64.self) == 0)
    }
  }

  @Test("nobody else's statement gets into a transaction")
  func exclusive() async throws {
    try await withClient(writeConnections: 2) { test async throws in
      try await Self.makeTable(test.client)
      let strangers = try await test.client.transaction { transaction throws(PostgresError) in
        let session = try await transaction.one("SELECT pg_backend_pid()::bigint", as: Int64.self)
        try await transaction.execute("INSERT INTO test_transaction VALUES (0)")
        let results = await PipelineTests.each(50) { index in
          try await test.client.writeOne(
            "INSERT INTO test_transaction VALUES (\(index + 1)) RETURNING pg_backend_pid()::bigint", as: Int64.self)
        }
        return results.map { ((try? $0.get()) ?? session) == session }
      }
      #expect(strangers == Array(repeating: false, count: 50))
      #expect(try await Self.rows(test.client) == Array(0...50))
    }
  }

  @Test("a transaction waits for what is in flight on its connection, and is not mixed with it")
  func afterWrites() async throws {
    try await withClient(writeConnections: 1) { test async throws in
      try await Self.makeTable(test.client)
      let results = await PipelineTests.each(60) { index in
        if index % 6 != 0 {
          try await test.client.execute("INSERT INTO test_transaction VALUES (\(index))")
        } else {
          try await test.client.transaction { transaction throws(PostgresError) in
            try await transaction.execute("INSERT INTO test_transaction VALUES (\(index))")
            throw PostgresError(.decoding, "rolled back")
          }
        }
      }
      for (index, result) in results.enumerated() where index % 6 != 0 { try result.get() }
      #expect(try await Self.rows(test.client) == (0..<60).filter { $0 % 6 != 0 }.map(Int64.init))
    }
  }

  @Test("more transactions than connections all come to pass, beside writes, on no more connections than that and one")
  func manyTransactions() async throws {
    try await withClient(writeConnections: 3) { test async throws in
      try await Self.makeTable(test.client)
      let results = await PipelineTests.each(60) { index in
        if index % 2 == 0 {
          try await test.client.execute("INSERT INTO test_transaction VALUES (\(index))")
        } else {
          try await test.client.transaction { transaction throws(PostgresError) in
            try await transaction.execute("INSERT INTO test_transaction VALUES (\(index))")
            await Loop.shared.sleep(.milliseconds(2))
            try await transaction.execute("UPDATE test_transaction SET id = id + 1000 WHERE id = \(index)")
          }
        }
      }
      for result in results { try result.get() }
      #expect(try await Self.rows(test.client).count == 60)
      let sessions = try await test.client.readOne(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = \(test.name) AND pid <> pg_backend_pid()", as: Int64.self)
      #expect(sessions ?? 99 <= 4)
    }
  }

  @Test("a transaction that cannot be ended leaves no connection behind on which others would be inside it")
  func notEnded() async throws {
    try await withClient(writeConnections: 1) { test async throws in
      try await Self.makeTable(test.client)
      // COMMIT and ROLLBACK are prepared by then, and the server forgets them.
      try await test.client.transaction { transaction throws(PostgresError) in try await transaction.execute("SELECT 1") }
      _ = try? await test.client.transaction { transaction throws(PostgresError) in
        try await transaction.execute("INSERT INTO test_transaction VALUES (1)")
        try await transaction.execute("DEALLOCATE ALL")
      }
      _ = try? await test.client.transaction { transaction throws(PostgresError) in
        try await transaction.execute("DEALLOCATE ALL")
        throw PostgresError(.decoding, "rolled back")
      }
      try await test.client.execute("INSERT INTO test_transaction VALUES (2)")
      // Seen from another session: it is committed.
      #expect(try await Self.rows(test.client).contains(2))
    }
  }
}
