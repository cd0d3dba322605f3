// The process chatty-worker: its settings, its signals, and what it drains the outbox with.

import EventLoop
import Glibc
import Logging
import Mail
import Postgres
import ServiceKit

/// Does what must leave the database, as rows of the outbox ask for it. For now that is mail.
///
/// Several may run at once, on one machine or many: a row is claimed by one of them.
@Worker
final class OutboxWorker {
  /// How long a row can wait when no notification comes: the worker looks by itself this often.
  private static let pollInterval = Duration.seconds(5)

  private let database: PostgresClient
  private let mail: MailDrain
  private let sweep: Sweep
  private let logger: Logger
  private var isStopping = false
  private var sleeper: UnsafeContinuation<Void, Never>?
  private var alarm: TimerID?
  private var wasCalled = false

  private init(settings: Settings, mail: MailDrain, database: PostgresClient, logger: Logger) {
    self.database = database
    self.mail = mail
    sweep = Sweep(database: database, logger: logger)
    self.logger = logger
  }

  /// Works until TERM or INT, and ends between two rows.
  static func run() async {
    let settings = Settings.ofProcess(name: "worker")
    JSONLogHandler.bootstrap(level: settings.logLevel)
    var logger = Logger(label: "chatty-worker")
    logger[metadataKey: "service"] = "worker"

    let database = PostgresClient(settings.database)
    let mail: MailDrain
    do throws(SettingError) {
      mail = try MailDrain(settings: settings, database: database, logger: logger)
    } catch {
      exitForConfiguration(error.description)
    }
    let worker = OutboxWorker(settings: settings, mail: mail, database: database, logger: logger)
    await worker.work()
    database.close()
    Loop.shared.stop()
  }

  private func work() async {
    Loop.shared.onSignals([SIGTERM, SIGINT]) { [self] _ in
      isStopping = true
      wake()
    }
    database.onFailure { [logger] error in logger.warning("database: \(error)") }
    database.listen("LISTEN outbox") { [self] _ in wake() }
    database.connect()
    logger.notice("worker started", metadata: ["mail": "\(mail.destination)"])
    while !isStopping {
      wasCalled = false
      await mail.drain { [self] in isStopping }
      await sweep.sweepIfDue()
      await sleep()
    }
    logger.notice("worker stopped")
  }

  /// Until a notification, a signal or the next poll, whichever is first. A notification during the work counts too: the row may
  /// have come after the last look.
  private func sleep() async {
    guard !isStopping, !wasCalled else { return }
    await withUnsafeContinuation { continuation in
      sleeper = continuation
      alarm = Loop.shared.after(Self.pollInterval) { [self] in wake() }
    }
  }

  private func wake() {
    wasCalled = true
    if let alarm { Loop.shared.cancel(alarm) }
    alarm = nil
    sleeper?.resume()
    sleeper = nil
  }
}
