// The database as handlers use it: a failure is already the answer that the client will get.

import EventLoop
import Postgres

@Worker
public struct Database {
  private let client: PostgresClient
  /// What every statement is part of; nil: each is a transaction of its own.
  private let present: PostgresClient.Transaction?
  /// Where what is written goes; nil: nobody looks.
  let room: DiskRoom?

  package init(_ client: PostgresClient, room: DiskRoom? = nil) {
    self.client = client
    present = nil
    self.room = room
  }

  private init(_ client: PostgresClient, within transaction: PostgresClient.Transaction, room: DiskRoom?) {
    self.client = client
    present = transaction
    self.room = room
  }

  /// - Throws: 503 if there is no room for a change. A transaction that has begun goes on.
  private func requireRoom() throws(APIError) {
    if let room, !room.isEnoughForDatabase { throw .noRoom }
  }

  /// Runs a statement that changes nothing and gives a list: it goes through as many rows as it takes, and does not hold up `readOne`.
  public func read<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(APIError) -> [Row] {
    do throws(PostgresError) {
      if let present { return try await present.all(query, as: type) }
      return try await client.list(query, as: type)
    } catch {
      throw APIError(error)
    }
  }

  /// Runs a statement that changes nothing and looks up one row at most.
  public func readOne<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(APIError) -> Row? {
    do throws(PostgresError) {
      if let present { return try await present.one(query, as: type) }
      return try await client.readOne(query, as: type)
    } catch {
      throw APIError(error)
    }
  }

  /// Runs a statement that changes something, as a transaction of its own unless this is the database within one; never twice.
  @discardableResult
  public func write<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(APIError) -> [Row] {
    if present == nil { try requireRoom() }
    do throws(PostgresError) {
      if let present { return try await present.all(query, as: type) }
      return try await client.write(query, as: type)
    } catch {
      throw APIError(error)
    }
  }

  /// As `write`, for at most one row.
  @discardableResult
  public func writeOne<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(APIError) -> Row? {
    try await write(query, as: type).first
  }

  /// Runs a statement that gives no rows on a session of its own, which is made for it and ends after it. It is no part of a transaction.
  func tryOut(_ query: Query) async throws(APIError) {
    do throws(PostgresError) {
      try await client.tryOut(query)
    } catch {
      throw APIError(error)
    }
  }

  /// Runs several statements as one transaction on a connection of its own: committed when `body` returns, rolled back when it
  /// throws. Within a transaction it is part of that.
  ///
  /// - Parameter body: gets the database as the transaction sees it; what it does with another is not part of the transaction.
  public func transaction<Value: Sendable>(
    _ body: @Worker (Database) async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    if present != nil { return try await body(self) }
    try requireRoom()
    // What `body` has thrown, which the connection need not understand.
    var failure: APIError?
    do throws(PostgresError) {
      return try await client.transaction { transaction throws(PostgresError) in
        do throws(APIError) {
          return try await body(Database(client, within: transaction, room: room))
        } catch {
          failure = error
          throw error.cause ?? PostgresError(.unavailable, "given up")
        }
      }
    } catch {
      throw failure ?? APIError(error)
    }
  }
}
