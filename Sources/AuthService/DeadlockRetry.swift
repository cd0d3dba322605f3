// Statements that may wait for each other in a circle.

import EventLoop
import ServiceKit

/// A statement that locks rows of several accounts can meet another one that locks them in another order: PostgreSQL then ends one of the
/// two, which has changed nothing and can be run again.
@Worker
enum DeadlockRetry {
  private static let attempts = 5

  /// - Throws: what `statement` has thrown, if that was no deadlock or the last attempt.
  static func run<Value: Sendable>(
    _ statement: @Worker () async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    for _ in 1..<attempts {
      do throws(APIError) {
        return try await statement()
      } catch {
        guard error.cause?.sqlState == .deadlockDetected else { throw error }
      }
    }
    return try await statement()
  }
}
