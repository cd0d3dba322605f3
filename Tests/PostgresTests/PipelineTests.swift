import EventLoop
import Postgres
import TestSupport
import Testing

/// Many statements on their way at once over one connection.
@Suite("the pipeline", .serialized)
struct PipelineTests {
  /// What each of many tasks on the loop gave, in the order of the tasks.
  @Worker
  static func each<Value: Sendable>(
    _ count: Int, _ body: @escaping @Worker @Sendable (Int) async throws -> Value
  ) async -> [Result<Value, any Error>] {
    let tasks = (0..<count).map { index in startOnLoop { try await body(index) } }
    var results: [Result<Value, any Error>] = []
    for task in tasks { results.append(await task.result) }
    return results
  }

  @Test("whoever asks for a row does not wait behind a list, nor one who changes something")
  func lists() async throws {
    try await withClient(writeConnections: 1) { test async throws in
      // The list waits for a lock that the connection for writes has.
      #expect(try await test.client.writeOne("SELECT true FROM pg_advisory_lock(4711)", as: Bool.self) == true)
      let list = startOnLoop { try await test.client.list("SELECT 7::bigint FROM pg_advisory_lock_shared(4711)", as: Int64.self) }
      for index in 0..<20 { #expect(try await test.client.readOne("SELECT \(index)", as: Int64.self) == Int64(index)) }
      let waiting: Query = """
        SELECT count(*) FROM pg_stat_activity WHERE application_name = \(test.name) AND wait_event_type = 'Lock'
        """
      while try await test.client.readOne(waiting, as: Int64.self) == 0 {}
      #expect(try await test.client.readOne("SELECT 1::bigint", as: Int64.self) == 1)
      #expect(try await test.client.writeOne("SELECT pg_advisory_unlock(4711)", as: Bool.self) == true)
      #expect(try await list.value == [7])
    }
  }

  @Test("thousands of statements at once each come back to their own asker", arguments: [true, false])
  func thousands(prepares: Bool) async throws {
    try await withClient(preparesStatements: prepares) { test async throws in
      let results = await Self.each(5_000) { index in
        // Two texts and shapes of rows, so that they cannot be taken for each other unnoticed.
        index % 2 == 0
          ? try await test.client.readOne("SELECT \(index)", as: Int64.self).map { "\($0)" }
          : try await test.client.readOne("SELECT \("\(index)"), 1", as: String.self)
      }
      for (index, result) in results.enumerated() { #expect(try result.get() == "\(index)") }
      // All of it over one connection.
      #expect(
        try await test.client.readOne("SELECT count(*) FROM pg_stat_activity WHERE application_name = \(test.name)", as: Int64.self) == 1)
    }
  }

  @Test("statements and results larger than every buffer, in both directions at once, come through")
  func largeBothWays() async throws {
    try await withClient { test async throws in
      let results = await Self.each(60) { index in
        let text = String(repeating: "\(index % 10)", count: 300_000 + index)
        return try await test.client.readOne("SELECT \(text)", as: String.self) == text
      }
      for result in results { #expect(try result.get()) }
    }
  }

  @Test("one statement's error leaves its neighbours in the pipeline alone", arguments: [true, false])
  func errors(prepares: Bool) async throws {
    try await withClient(preparesStatements: prepares) { test async throws in
      for _ in 0..<3 {
        let results = await Self.each(400) { index in
          switch index % 5 {
          case 1: try await test.client.readOne("SELECT 1000 / (\(index) - \(index))", as: Int64.self)
          case 3: try await test.client.readOne("SELECT nothing FROM nowhere WHERE a = \(index)", as: Int64.self)
          default: try await test.client.readOne("SELECT \(index)", as: Int64.self)
          }
        }
        for (index, result) in results.enumerated() {
          switch index % 5 {
          case 1: #expect(result.state == "22012")
          case 3: #expect(result.state == "42P01")
          default: #expect(try result.get() == Int64(index))
          }
        }
      }
    }
  }

  @Test("what is sent together with a statement that fails, and was not even prepared for it, is prepared and run nevertheless")
  func unpreparedNeighbours() async throws {
    try await withClient { test async throws in
      for _ in 0..<2 {
        // All of one turn, each with a text of its own, and new in the first round.
        let results = await Self.each(6) { index in
          switch index {
          case 0: try await test.client.readOne("SELECT 'before', \(index)", as: String.self)
          case 1: try await test.client.readOne("SELECT nothing, \(index) FROM nowhere_beside", as: String.self)
          case 2: try await test.client.readOne("SELECT 'beside 2', \(index)", as: String.self)
          case 3: try await test.client.readOne("SELECT 'beside 3', 1 / (\(index) - 3)", as: String.self)
          case 4: try await test.client.readOne("SELECT 'beside 4', \(index)", as: String.self)
          default: try await test.client.readOne("SELECT 'beside 2', \(index)", as: String.self)
          }
        }
        #expect(results.map { try? $0.get() } == ["before", nil, "beside 2", nil, "beside 4", "beside 2"])
        #expect(results[1].state == "42P01" && results[3].state == "22012")
      }
      #expect(try await Self.preparedCount("SELECT 'beside%", on: test.client) == 3)
    }
  }

  @Test("an error tells its SQLSTATE, its message and the constraint")
  func errorFields() async throws {
    try await withClient { test async throws in
      try await test.client.execute("DROP TABLE IF EXISTS test_error")
      try await test.client.execute("CREATE TABLE test_error (id bigint CONSTRAINT test_error_key PRIMARY KEY)")
      try await test.client.execute("INSERT INTO test_error VALUES (1)")
      let error = await #expect(throws: PostgresError.self) { try await test.client.execute("INSERT INTO test_error VALUES (\(1))") }
      #expect(error?.sqlState == .uniqueViolation)
      #expect(error?.constraint == "test_error_key")
      #expect(error?.description == #"23505: duplicate key value violates unique constraint "test_error_key""#)
    }
  }

  @Test("several rows, no row and no columns are told apart")
  func counts() async throws {
    try await withClient { test async throws in
      #expect(try await test.client.read("SELECT generate_series(1, 1000)::bigint", as: Int64.self) == Array(1...1000))
      #expect(try await test.client.read("SELECT 1::bigint WHERE false", as: Int64.self).isEmpty)
      #expect(try await test.client.readOne("SELECT 1::bigint WHERE false", as: Int64.self) == nil)
      try await test.client.execute("SET search_path = public")
      try await test.client.execute("")
      let error = await #expect(throws: PostgresError.self) { try await test.client.execute("SELECT 1; SELECT 2") }
      #expect(error?.sqlState?.rawValue == "42601")
    }
  }

  // MARK: Preparing

  static func preparedCount(_ text: String, on client: PostgresClient) async throws -> Int64? {
    // Its own text is not like the one that it counts.
    try await client.readOne("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE \(text)", as: Int64.self)
  }

  @Test("a statement is prepared once on a connection, however often and with whatever values it is used")
  func preparedOnce() async throws {
    try await withClient { test async throws in
      for _ in 0..<3 {
        for result in await Self.each(50, { try await test.client.readOne("SELECT \($0) + 1 AS prepared_once", as: Int64.self) }) {
          _ = try result.get()
        }
      }
      #expect(try await Self.preparedCount("%prepared_once", on: test.client) == 1)
    }
  }

  @Test("where statements may not be prepared none is")
  func unprepared() async throws {
    try await withClient(preparesStatements: false) { test async throws in
      for index in 0..<3 { #expect(try await test.client.readOne("SELECT \(index)", as: Int64.self) == Int64(index)) }
      #expect(try await Self.preparedCount("%", on: test.client) == 0)
    }
  }

  @Test("statements of one text whose parameters are of different types are different statements")
  func sameTextOtherTypes() async throws {
    @Worker func length(_ value: some PostgresEncodable, _ client: PostgresClient) async throws -> Int64? {
      try await client.readOne("SELECT octet_length(\(value)::text::bytea)::bigint", as: Int64.self)
    }
    try await withClient { test async throws in
      for _ in 0..<2 {
        #expect(try await length(Int64(7), test.client) == 1)
        #expect(try await length("12345678", test.client) == 8)
        #expect(try await length(true, test.client) == 4)
      }
    }
  }

  @Test("a statement that cannot be prepared fails alike for everybody, and is found good once it is")
  func cannotBePrepared() async throws {
    try await withClient { test async throws in
      try await test.client.execute("DROP TABLE IF EXISTS test_late")
      let run: @Worker @Sendable (Int) async throws -> Int64? = { index in
        try await test.client.readOne("SELECT count(*) + \(index) FROM test_late", as: Int64.self)
      }
      for result in await Self.each(50, run) { #expect(result.state == "42P01") }
      try await test.client.execute("CREATE TABLE test_late (id bigint)")
      for (index, result) in await Self.each(50, run).enumerated() { #expect(try result.get() == Int64(index)) }
    }
  }

  @Test("when a migration changes the result of a prepared statement it is prepared anew, and nobody gets an error")
  func changedResult() async throws {
    try await withClient { test async throws in
      try await test.client.execute("DROP TABLE IF EXISTS test_plan")
      try await test.client.execute("CREATE TABLE test_plan (id bigint, name text)")
      try await test.client.execute("INSERT INTO test_plan VALUES (7, 'seven')")
      let read: @Worker @Sendable (Int) async throws -> Int64? = { index in
        try await test.client.readOne("SELECT * FROM test_plan WHERE \(index) >= 0", as: Int64.self)
      }
      let write: @Worker @Sendable (Int) async throws -> Int64? = { index in
        try await test.client.writeOne("INSERT INTO test_plan (id) VALUES (\(index)) RETURNING *", as: Int64.self)
      }
      for round in 0..<3 {
        for result in await Self.each(100, read) { #expect(try result.get() == 7) }
        for result in await Self.each(20, write) { #expect(try result.get() != nil) }
        switch round {
        case 0: try await test.client.execute("ALTER TABLE test_plan ADD COLUMN more int")
        case 1: try await test.client.execute("ALTER TABLE test_plan DROP COLUMN name, ADD COLUMN name varchar(9)")
        default: break
        }
      }
      #expect(try await test.client.readOne("SELECT count(*) FROM test_plan", as: Int64.self) == 61)
      // One new name for each change, not one for each statement that met it.
      #expect(try await Self.preparedCount("SELECT * FROM test_plan%", on: test.client) ?? 99 <= 3)
    }
  }

  @Test("in a transaction such a statement fails, and the next transaction finds it good")
  func changedResultInTransaction() async throws {
    try await withClient(writeConnections: 1) { test async throws in
      try await test.client.execute("DROP TABLE IF EXISTS test_plan_tx")
      try await test.client.execute("CREATE TABLE test_plan_tx (id bigint)")
      let insert: @Worker @Sendable (PostgresClient.Transaction) async throws(PostgresError) -> Int64? = {
        transaction throws(PostgresError) in
        try await transaction.one("INSERT INTO test_plan_tx VALUES (7) RETURNING *", as: Int64.self)
      }
      #expect(try await test.client.transaction(insert) == 7)
      try await test.client.execute("ALTER TABLE test_plan_tx ADD COLUMN more int")
      let error = await #expect(throws: PostgresError.self) { try await test.client.transaction(insert) }
      #expect(error?.sqlState == .featureNotSupported)
      #expect(try await test.client.transaction(insert) == 7)
    }
  }

  @Test("when somebody deallocates what was prepared it is prepared anew")
  func deallocated() async throws {
    try await withClient(writeConnections: 1) { test async throws in
      for _ in 0..<3 {
        #expect(try await test.client.writeOne("SELECT 'deallocated'", as: String.self) == "deallocated")
        _ = try? await test.client.execute("DEALLOCATE ALL")
      }
    }
  }

  // MARK: Time

  @Test("a statement that takes too long is ended by the server, and its neighbours are not")
  func statementTimeout() async throws {
    try await withClient(statementTimeout: .seconds(2)) { test async throws in
      let results = await Self.each(9) { index in
        index == 4
          ? try await test.client.readOne("SELECT pg_sleep(30), 1::bigint", as: Slept.self)?.value
          : try await test.client.readOne("SELECT \(index)", as: Int64.self)
      }
      for (index, result) in results.enumerated() {
        if index == 4 { #expect(result.state == "57014") } else { #expect(try result.get() == Int64(index)) }
      }
    }
  }

  @Test("a statement waits for those before it as long as they need, which is longer than any one may take")
  func slowNeighbours() async throws {
    try await withClient(statementTimeout: .seconds(1)) { test async throws in
      let results = await Self.each(8) { index in
        try await test.client.readOne("SELECT pg_sleep(0.7), \(index)", as: Slept.self)?.value
      }
      for (index, result) in results.enumerated() { #expect(try result.get() == Int64(index)) }
      #expect(test.client.reconnects == 0)
    }
  }

  /// A row of a `pg_sleep` and a number.
  struct Slept: RowDecodable {
    let value: Int64
    init(row: inout RowReader) throws(PostgresError) {
      let _: Nothing? = try row.next()
      value = try row.next()
    }
  }

  private struct Nothing: PostgresDecodable {
    init?(postgres bytes: UnsafeRawBufferPointer, type: UInt32) {}
  }
}

extension Result {
  /// The SQLSTATE of a failure.
  var state: String? {
    if case .failure(let error) = self { (error as? PostgresError)?.sqlState?.rawValue } else { nil }
  }

  /// The kind of a failure.
  var kind: PostgresError.Kind? {
    if case .failure(let error) = self { (error as? PostgresError)?.kind } else { nil }
  }
}
