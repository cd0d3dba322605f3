import EventLoop
import Postgres
import TestSupport
import Testing

/// Copies out of one snapshot, and lists of ids.
@Suite("reading a snapshot", .serialized)
struct SnapshotReaderTests {
  private func reader(timeout: Duration = .seconds(60)) throws -> SnapshotReader {
    try SnapshotReader(
      ConnectionSettings(url: try TestDatabase.url, applicationName: TestDatabase.uniqueName(), statementTimeout: timeout))
  }

  @Test("a statement has the settings' time, also where a session does not begin with it", arguments: [true, false])
  func time(prepares: Bool) throws {
    let reader = try SnapshotReader(
      ConnectionSettings(
        url: try TestDatabase.url, applicationName: TestDatabase.uniqueName(), statementTimeout: .seconds(123),
        preparesStatements: prepares))
    let milliseconds: Query = "SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'"
    #expect(try reader.one(milliseconds, as: Int64.self) == 123_000)
  }

  private func numbers(_ query: Query, from reader: SnapshotReader) throws -> [[Int64]] {
    var rows: [[Int64]] = []
    try reader.copy(query) { row in rows.append([try row.next(), try row.next()]) }
    return rows
  }

  @Test("rows come whole and in order, and none where there are none; the connection goes on afterwards")
  func rows() throws {
    let reader = try reader()
    let rows = try numbers("COPY (SELECT n, -n << 32 FROM generate_series(1, 100000::bigint) n) TO STDOUT (FORMAT binary)", from: reader)
    #expect(rows == (1...100_000).map { [$0, -$0 << 32] })
    #expect(try numbers("COPY (SELECT 1::bigint, 1::bigint WHERE false) TO STDOUT (FORMAT binary)", from: reader).isEmpty)
    #expect(try reader.one("SELECT \(Int64(7)) + 1", as: Int64.self) == 8)
  }

  @Test("everything is of the snapshot of the first statement, and nothing can be written")
  func snapshot() async throws {
    try await withClient { test async throws in
      try await test.client.execute("CREATE TABLE IF NOT EXISTS snapshot_reader (a bigint, b bigint)")
      try await test.client.execute("TRUNCATE snapshot_reader")
      try await test.client.execute("INSERT INTO snapshot_reader VALUES (1, 2)")
    }
    let reader = try reader()
    #expect(try reader.one("SELECT count(*) FROM snapshot_reader", as: Int64.self) == 1)
    try await withClient { test async throws in try await test.client.execute("INSERT INTO snapshot_reader VALUES (3, 4)") }
    #expect(try numbers("COPY snapshot_reader TO STDOUT (FORMAT binary)", from: reader) == [[1, 2]])
    #expect { try reader.one("INSERT INTO snapshot_reader VALUES (5, 6) RETURNING a", as: Int64.self) } throws: {
      ($0 as? PostgresError)?.sqlState?.rawValue == "25006"
    }
    try await withClient { test async throws in try await test.client.execute("DROP TABLE snapshot_reader") }
  }

  @Test("errors are told: of the statement, in the middle of a copy, of columns of another type")
  func errors() throws {
    #expect { try numbers("COPY nothing TO STDOUT (FORMAT binary)", from: try reader()) } throws: {
      ($0 as? PostgresError)?.sqlState?.rawValue == "42P01"
    }
    #expect {
      try numbers("COPY (SELECT n, 1 / (1000 - n) FROM generate_series(1, 2000::bigint) n) TO STDOUT (FORMAT binary)", from: try reader())
    } throws: {
      ($0 as? PostgresError)?.sqlState?.rawValue == "22012"
    }
    for query: Query in [
      "COPY (SELECT 1::integer, 2::bigint) TO STDOUT (FORMAT binary)", "COPY (SELECT 1::bigint, NULL::bigint) TO STDOUT (FORMAT binary)",
      "COPY (SELECT 1::bigint) TO STDOUT (FORMAT binary)", "COPY (SELECT 1::bigint, 2::bigint) TO STDOUT",
    ] {
      #expect("\(query.sql)") { try numbers(query, from: try reader()) } throws: { ($0 as? PostgresError)?.kind == .decoding }
    }
    #expect {
      try reader(timeout: .milliseconds(200)).one("SELECT count(*) FROM (SELECT pg_sleep(5)) s", as: Int64.self)
    } throws: {
      ($0 as? PostgresError)?.sqlState == .queryCanceled
    }
  }

  @Test("a database that is not there is unavailable")
  func unavailable() {
    #expect {
      try SnapshotReader(ConnectionSettings(url: "postgresql:///x?host=/nonexistent", applicationName: "test"))
    } throws: {
      ($0 as? PostgresError)?.kind == .unavailable
    }
  }

  @Test("a list of ids comes back as it was sent; one with NULLs, of two dimensions or of another type does not")
  func lists() async throws {
    try await withClient { test async throws in
      for ids: [Int64] in [[], [1], [.min, 0, .max], Array(1...10_000)] {
        #expect(try await test.client.readOne("SELECT \(IDList(ids))", as: TypeTests.Single<IDList>.self)?.value?.ids == ids)
      }
      for query: Query in ["SELECT ARRAY[1, NULL]::bigint[]", "SELECT ARRAY[[1], [2]]::bigint[]", "SELECT ARRAY[1, 2]", "SELECT 1::bigint"]
      {
        await #expect { try await test.client.readOne(query, as: TypeTests.Single<IDList>.self) } throws: {
          ($0 as? PostgresError)?.kind == .decoding
        }
      }
    }
  }
}
