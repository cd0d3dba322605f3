import Postgres
import ServiceKit
import Testing

/// What clients are told for each kind of PostgreSQL's errors.
@Suite("errors of the database")
struct DatabaseTroubleTests {
  @Test(
    "the database's trouble is 503, whatever it is",
    arguments: [
      "08000", "08006", "08P01", "25006", "25P03", "40001", "40003", "40P01", "53000", "53100", "53200", "53300", "53400", "54000", "55006",
      "55P03", "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "58000", "58030", "58P01", "58P02", "72000", "F0000", "F0001",
    ])
  func trouble(state: String) {
    #expect(APIError(PostgresError(.server(SQLState(rawValue: state)), "no such file")).status == 503)
  }

  @Test(
    "a statement that is wrong, and data that is corrupted, are 500: the same statement will not do better later",
    arguments: ["0A000", "22012", "23505", "25P02", "26000", "42501", "42P01", "42883", "P0001", "XX000", "XX001", "XX002"])
  func defect(state: String) {
    #expect(APIError(PostgresError(.server(SQLState(rawValue: state)), "no such table")).status == 500)
  }

  @Test("no connection is 503, and a result that is not what was asked for is 500")
  func others() {
    #expect(APIError(PostgresError(.unavailable, "away")).status == 503)
    #expect(APIError(PostgresError(.connectionLost, "away")).status == 503)
    #expect(APIError(PostgresError(.decoding, "no number")).status == 500)
  }
}
