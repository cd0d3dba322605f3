// Whether a worker can do its work: what `GET /-/ready` answers, which nginx asks for on the operations listener only.

import EventLoop
import FastCGI

/// Looks at the database as requests use it: a read on the connection that is there, and a write on a new session. That one finds out what
/// a kept connection does not notice: a server that takes no new sessions, or whose new sessions cannot load what writes need, as after an
/// upgrade of PostgreSQL beneath a running cluster.
@Worker
final class Readiness {
  nonisolated static let path = "/-/ready"

  private let database: Database
  private let pool: String
  /// The look that is under way, or was made within the last second: however many ask, there is one a second.
  private var look: Task<String?, Never>?

  init(of database: Database, pool: String) {
    self.database = database
    self.pool = pool
  }

  /// 200 if there is room for what this pool writes, and the database answers and takes writes. When nginx names the next pool to ask it is
  /// sent there instead (`X-Accel-Redirect`), so that one address can tell of all the pools.
  func respond(to raw: FastCGI.Request) async -> FastCGI.Response {
    if let problem = await problem() {
      return Reply(status: 503, ["detail": "\(pool): \(problem)"], headers: [("Retry-After", "1")]).response
    }
    if let next = raw.parameter("READY_NEXT") { return FastCGI.Response(headers: [("X-Accel-Redirect", next)]) }
    return Reply.json(["status": "ready"]).response
  }

  private func problem() async -> String? {
    if let look { return await look.value }
    let task = Task(executorPreference: Loop.shared) { await self.findProblem() }
    look = task
    let problem = await task.value
    Loop.shared.after(.seconds(1)) { [self] in look = nil }
    return problem
  }

  private func findProblem() async -> String? {
    // Of all pools only that of uploads writes files.
    if let room = database.room, !(pool == "uploads" ? room.isEnoughForFiles : room.isEnoughForDatabase) {
      return "no room under CHATTY_HOME"
    }
    do throws(APIError) {
      _ = try await database.readOne("SELECT 1::bigint", as: Int64.self)
    } catch {
      return "the database does not answer"
    }
    do throws(APIError) {
      // Writes, and rolls that back (sql/0035_write_checks.sql).
      try await database.tryOut("SELECT check_writing()")
    } catch {
      return "the database takes no writes: \(error.cause?.description ?? "no reason given")"
    }
    return nil
  }
}
