// Accounts that were blocked, unblocked or deleted: what they have written follows, step by step.

import EventLoop
import Logging
import Postgres

/// Takes one bounded step after the other until no account is left to be settled (sql/0031_settling.sql). Several workers may do so at
/// once: they take turns.
@Worker
struct Settler: Job {
  static let interval = Duration.seconds(2)

  /// Rows of one step, which is then over in some milliseconds: whoever likes a post whose likes are just being counted waits for so long.
  private static let batch = 200
  /// The others' share: a step uses the database as much as it can.
  private static let pause = Duration.milliseconds(1)

  let database: PostgresClient
  let logger: Logger

  func work(until isStopping: @escaping @Worker () -> Bool) async {
    var steps = 0
    do throws(PostgresError) {
      while !isStopping(), try await database.writeOne("SELECT settle_next_accounts(\(Self.batch))", as: Bool.self) == true {
        steps += 1
        await Loop.shared.sleep(Self.pause)
      }
    } catch {
      logger.warning("settling: \(error)")
    }
    if steps > 0 { logger.info("accounts settled", metadata: ["steps": "\(steps)"]) }
  }
}
