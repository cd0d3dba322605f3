import Postgres
import TestSupport
import Testing

@Suite("queries")
struct QueryTests {
  @Test("an interpolated value becomes a parameter, whatever is in it, and never text")
  func binding() {
    let name = "'; DROP TABLE users; --"
    let query: Query = "SELECT id FROM users WHERE name = \(name) AND id > \(7 as Int64) OR \(true)"
    #expect(query.sql == "SELECT id FROM users WHERE name = $1 AND id > $2 OR $3")
  }

  @Test("a query without parameters is its text")
  func literal() {
    #expect(("SELECT 'it''s', \"x\", $$y$$" as Query).sql == "SELECT 'it''s', \"x\", $$y$$")
    #expect(("" as Query).sql == "")
    #expect(("x" as Query).sql == "x")
  }

  @Test("a query within a query is spliced in, and its parameters are numbered on")
  func splicing() {
    let inner: Query = "b = \(2) AND c = \("three")"
    let columns: Query = "x, y"
    let nothing: Query = ""
    let query: Query = "SELECT \(columns) FROM t WHERE a = \(1) AND (\(inner))\(nothing) AND d = \(4.0) AND \(inner)"
    #expect(query.sql == "SELECT x, y FROM t WHERE a = $1 AND (b = $2 AND c = $3) AND d = $4 AND b = $5 AND c = $6")
    let nested: Query = "\(query)\(query)"
    #expect(nested.sql.hasSuffix("b = $11 AND c = $12"))
  }

  @Test("parameters side by side, at the start and at the end are kept apart")
  func adjacent() {
    let query: Query = "\(1)\(2) || \(3)"
    #expect(query.sql == "$1$2 || $3")
  }

  @Test("queries are equal if they differ in values alone, and not if they differ in text or in a parameter's type")
  func equality() {
    func query(_ value: some PostgresEncodable) -> Query { "SELECT \(value)" }
    #expect(query(1) == query(2))
    #expect(query(1).hashValue == query(2).hashValue)
    #expect(query(1) != query("1"))
    #expect(query(1) != "SELECT \(1) ")
    #expect(query(1) == "SELECT \(nil as Int?)")
    // However it was put together.
    let rest: Query = "LECT \(7)"
    #expect(query(1) == "SE\(rest)")
    #expect(query(1).hashValue == ("SE\(rest)" as Query).hashValue)
  }

  @Test("values that look like placeholders, and more than ten of them, come back as they are")
  func manyParameters() async throws {
    try await withClient { test async throws in
      let values = (1...12).map { "$\($0)" }
      let query: Query = """
        SELECT concat_ws(',', \(values[0]), \(values[1]), \(values[2]), \(values[3]), \(values[4]), \(values[5]), \(values[6]), \
        \(values[7]), \(values[8]), \(values[9]), \(values[10]), \(values[11]))
        """
      #expect(try await test.client.readOne(query, as: String.self) == values.joined(separator: ","))
    }
  }
}
