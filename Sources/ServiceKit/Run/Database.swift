// The database as handlers use it: a failure is already the answer that the client will get.

import EventLoop
import Postgres

@Worker
public struct Database {
  let client: PostgresClient

  package init(_ client: PostgresClient) { self.client = client }

  /// Runs a statement that changes nothing.
  public func read<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(APIError) -> [Row] {
    do throws(PostgresError) { return try await client.read(query, as: type) } catch { throw APIError(error) }
  }

  /// As `read`, for at most one row.
  public func readOne<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(APIError) -> Row? {
    try await read(query, as: type).first
  }

  /// Runs a statement that changes something, as a transaction of its own; never twice.
  @discardableResult
  public func write<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(APIError) -> [Row] {
    do throws(PostgresError) { return try await client.write(query, as: type) } catch { throw APIError(error) }
  }

  /// As `write`, for at most one row.
  @discardableResult
  public func writeOne<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(APIError) -> Row? {
    try await write(query, as: type).first
  }

  /// Runs several statements as one transaction on a connection of its own.
  public func transaction<Value: Sendable>(
    _ body: @Worker (PostgresClient.Transaction) async throws(PostgresError) -> Value
  ) async throws(APIError) -> Value {
    do throws(PostgresError) { return try await client.transaction(body) } catch { throw APIError(error) }
  }
}
