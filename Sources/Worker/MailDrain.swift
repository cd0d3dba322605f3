// The mails of the outbox: claim one, write it, hand it over, and say what became of it.

import EventLoop
import Glibc
import Logging
import Mail
import Postgres
import ServiceKit

/// Delivers mail at least once. A mail is sent twice only if this process or the database dies between the mail server's
/// acceptance and the end of the row; the second copy has the same Message-ID.
///
/// What a log line says of a mail is the number of its row: never its recipient, its link or a word of it.
@Worker
final class MailDrain: Job {
  /// How long a row can wait when no notification comes.
  static let interval = Duration.seconds(5)

  /// Mails under way at once, each sent by a loop of its own: while one is slow the others go on, and are there for what comes.
  static let senders = 4

  /// How often a claim is renewed while its mail is under way. A claim is good for two minutes (`Queries.claim`).
  private static let renewal = Duration.seconds(40)

  private let database: PostgresClient
  private let logger: Logger
  private let transport: any MailTransport
  private let from: Mailbox
  private let publicURL: String
  /// For the log.
  let destination: String
  /// No mail can leave just now: the next one is tried when the job is called again.
  private var isHalted = false

  /// - Throws: `SettingError` for a sender that is no address or a mail server that libcurl cannot take.
  init(settings: Settings, database: PostgresClient, logger: Logger) throws(SettingError) {
    self.database = database
    self.logger = logger
    publicURL = settings.publicURL
    do { from = try Mailbox(parsing: settings.mailFrom) } catch { throw SettingError("CHATTY_MAIL_FROM", "is \(error)") }
    if let url = settings.smtpURL {
      if let file = settings.smtpCAFile, access(file, R_OK) != 0 {
        throw SettingError("CHATTY_SMTP_CA_FILE", "names \(file), which this process cannot read: \(String(cString: strerror(errno)))")
      }
      do {
        transport = try SMTPTransport(url: url, caFile: settings.smtpCAFile)
      } catch {
        throw SettingError("CHATTY_SMTP_URL", "cannot be used: \(error)")
      }
      destination = "SMTP"
    } else {
      transport = FolderTransport(folder: "\(settings.home)/mail")
      destination = "\(settings.home)/mail"
    }
  }

  /// Sends mails, one after the other, until none is due, `isStopping` says so, none can leave, or the database does not answer.
  /// As many may do so at once as there are senders.
  func work(until isStopping: @escaping @Worker () -> Bool) async {
    isHalted = false
    do throws(PostgresError) {
      while !isStopping(), !isHalted, let claim = try await Queries.claim(on: database) { try await send(claim) }
    } catch {
      logger.warning("outbox: \(error)")
    }
  }

  private func send(_ claim: Claim) async throws(PostgresError) {
    // The letter, if there is to be one, is the next row that is due.
    if MailRequest(payload: claim.payload) != nil { return try await Queries.answer(claim, on: database) }
    var logger = logger
    logger[metadataKey: "outbox_id"] = "\(claim.id)"
    do throws(MailError) {
      try await deliver(claim)
    } catch {
      let isDead = try await Queries.failed(claim, because: error, on: database)
      logger.log(level: isDead ? .error : .warning, "mail \(isDead ? "given up" : "not sent")", metadata: ["reason": "\(error)"])
      if case .unavailable = error { isHalted = true }
      return
    }
    logger.info("mail sent", metadata: ["attempts": "\(claim.attempts)"])
    await finish(claim, logger)
  }

  /// Takes as long as the mail server does; the claim is kept meanwhile.
  private func deliver(_ claim: Claim) async throws(MailError) {
    guard let letter = Letter(payload: claim.payload) else { throw .refused("not a letter that this worker can write") }
    // The row's id alone would come again in a database that was set up anew.
    let name = "\(claim.id)-\(claim.createdAt.unixSeconds)"
    let message = MailMessage(
      from: from, to: try Mailbox(address: letter.to), subject: letter.subject, messageID: "chatty-\(name)@\(from.domain)",
      date: claim.createdAt.unixSeconds, text: letter.text(publicURL: publicURL))
    let lease = Lease(every: Self.renewal) { [database, logger] in
      do throws(PostgresError) {
        try await Queries.renew(claim, on: database)
      } catch {
        logger.warning("a claim is not renewed", metadata: ["outbox_id": "\(claim.id)", "reason": "\(error)"])
      }
    }
    defer { lease.end() }
    try await transport.deliver(message, name: name)
  }

  /// Ends a row whose mail is out. As long as the row stands the mail could be sent again: nothing else is worth doing before.
  private func finish(_ claim: Claim, _ logger: Logger) async {
    while true {
      do throws(PostgresError) {
        return try await Queries.delivered(claim.id, on: database)
      } catch {
        logger.warning("mail sent, but its row is still there", metadata: ["reason": "\(error)"])
      }
      await Loop.shared.sleep(.seconds(1))
    }
  }
}

/// Does something again and again until it is ended.
@Worker
private final class Lease {
  private let interval: Duration
  private let renew: @Worker @Sendable () async -> Void
  private var timer: TimerID?

  init(every interval: Duration, renew: @escaping @Worker @Sendable () async -> Void) {
    self.interval = interval
    self.renew = renew
    schedule()
  }

  func end() {
    if let timer { Loop.shared.cancel(timer) }
    timer = nil
  }

  private func schedule() {
    timer = Loop.shared.after(interval) { [self] in
      Loop.start { [renew] in await renew() }
      schedule()
    }
  }
}
