// The mails of the outbox: claim one, write it, hand it over, and say what became of it.

import EventLoop
import Logging
import Mail
import Postgres
import ServiceKit

/// Delivers mail at least once. A mail is sent twice only if this process or the database dies between the mail server's
/// acceptance and the end of the row; the second copy has the same Message-ID.
///
/// What a log line says of a mail is the number of its row: never its recipient, its link or a word of it.
@Worker
final class MailDrain {
  private let database: PostgresClient
  private let logger: Logger
  private let transport: any MailTransport
  private let from: Mailbox
  private let publicURL: String
  /// For the log.
  let destination: String

  /// - Throws: `SettingError` for a sender that is no address or a mail server that libcurl cannot take.
  init(settings: Settings, database: PostgresClient, logger: Logger) throws(SettingError) {
    self.database = database
    self.logger = logger
    publicURL = settings.publicURL
    do { from = try Mailbox(parsing: settings.mailFrom) } catch { throw SettingError("CHATTY_MAIL_FROM", "is \(error)") }
    if let url = settings.smtpURL {
      do { transport = try SMTPTransport(url: url) } catch { throw SettingError("CHATTY_SMTP_URL", "cannot be used: \(error)") }
      destination = "SMTP"
    } else {
      transport = FolderTransport(folder: "\(settings.home)/mail")
      destination = "\(settings.home)/mail"
    }
  }

  /// Sends mails until none is due, `isStopping` says so, or the database does not answer.
  func drain(until isStopping: @Worker () -> Bool) async {
    do throws(PostgresError) {
      while !isStopping(), let claim = try await Queries.claim(on: database) { try await send(claim) }
    } catch {
      logger.warning("outbox: \(error)")
    }
  }

  private func send(_ claim: Claim) async throws(PostgresError) {
    var logger = logger
    logger[metadataKey: "outbox_id"] = "\(claim.id)"
    do throws(MailError) {
      try deliver(claim)
    } catch {
      let isDead = try await Queries.failed(claim, because: error.description, finally: error.isPermanent, on: database)
      logger.log(level: isDead ? .error : .warning, "mail \(isDead ? "given up" : "not sent")", metadata: ["reason": "\(error)"])
      return
    }
    logger.info("mail sent", metadata: ["attempts": "\(claim.attempts)"])
    try await finish(claim, logger)
  }

  /// Blocks for as long as the mail server takes, at most `SMTPTransport.timeout` seconds.
  private func deliver(_ claim: Claim) throws(MailError) {
    guard let letter = Letter(payload: claim.payload) else { throw .refused("not a letter that this worker can write") }
    // The row's id alone would come again in a database that was set up anew.
    let name = "\(claim.id)-\(claim.createdAt.unixSeconds)"
    let message = MailMessage(
      from: from, to: try Mailbox(address: letter.to), subject: letter.subject, messageID: "chatty-\(name)@\(from.domain)",
      date: claim.createdAt.unixSeconds, text: letter.text(publicURL: publicURL))
    try transport.deliver(message, name: name)
  }

  /// Ends a row whose mail is out. As long as the row stands the mail could be sent again, so it is worth more than one try.
  private func finish(_ claim: Claim, _ logger: Logger) async throws(PostgresError) {
    for delay in [Duration.milliseconds(200), .seconds(1), .seconds(3), .seconds(10), .seconds(30)] {
      do throws(PostgresError) {
        return try await Queries.delivered(claim.id, on: database)
      } catch {
        logger.warning("mail sent, but its row is still there", metadata: ["reason": "\(error)"])
      }
      await Loop.shared.sleep(delay)
    }
    try await Queries.delivered(claim.id, on: database)
  }
}
