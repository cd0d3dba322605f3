// The process chatty-worker: its settings, its signals, and its jobs.

import EventLoop
import Glibc
import Logging
import Mail
import Postgres
import ServiceKit

/// Does what must leave the database, as rows of the outbox ask for it, what is left of a change to an account, and what time asks for; and
/// keeps the index of likes.
///
/// Several may run at once, on one machine or many: a row is claimed by one of them.
@Worker
enum OutboxWorker {
  /// How long what is under way is waited for when the worker is to stop, such as a mail server that does not answer.
  private static let patience = Duration.seconds(30)

  /// Works until TERM or INT, and ends when what is under way has ended, or after `patience`.
  static func run() async {
    let settings = Settings.ofProcess(name: "worker")
    JSONLogHandler.bootstrap(level: settings.logLevel)
    var logger = Logger(label: "chatty-worker")
    logger[metadataKey: "service"] = "worker"

    let database = PostgresClient(settings.database, writeConnections: MailDrain.senders)
    let mail: MailDrain
    do throws(SettingError) {
      mail = try MailDrain(settings: settings, database: database, logger: logger)
    } catch {
      exitForConfiguration(error.description)
    }
    if Settings.isCheck { exit(EXIT_SUCCESS) }
    let room = DiskRoom(home: settings.home, hasPrivateCluster: settings.hasPrivateCluster) { [logger] isEnough in
      logger.warning("\(isEnough ? "there is room again: work goes on" : "no room: work rests")", metadata: ["home": "\(settings.home)"])
    }
    let writesRows = { @Worker in room.isEnoughForDatabase }
    let senders = (0..<MailDrain.senders).map { _ in JobLoop(mail, while: writesRows) }
    let outbox =
      senders + [
        JobLoop(MediaDrain(settings: settings, database: database, logger: logger), while: writesRows),
        JobLoop(Settler(database: database, logger: logger), while: writesRows),
      ]
    let sweep = Sweep(unverifiedDays: settings.unverifiedDays, database: database, logger: logger)
    let index = JobLoop(IndexKeeper(settings: settings, database: database, logger: logger)) { room.isEnoughForFiles }
    let jobs = outbox + [JobLoop(sweep, while: writesRows), index]

    Loop.shared.onSignals([SIGTERM, SIGINT]) { [logger] _ in
      for job in jobs { job.stop() }
      Loop.shared.after(patience) {
        logger.warning("worker stopped with work under way: it will be done again")
        Loop.shared.stop()
      }
    }
    database.onFailure { [logger] error in logger.warning("database: \(error)") }
    database.listen("LISTEN outbox") { _ in for job in outbox { job.wake() } }
    database.connect()
    logger.notice("worker started", metadata: ["mail": "\(mail.destination)"])
    await withTaskGroup(of: Void.self) { group in
      for job in jobs { group.addTask { await job.run() } }
    }
    logger.notice("worker stopped")
    database.close()
    Loop.shared.stop()
  }
}
