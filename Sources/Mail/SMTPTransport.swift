// Mail by SMTP (RFC 5321), as libcurl speaks it.

import CCurl
import EventLoop
import FoundationEssentials
import Transfers

/// Sends mail through one SMTP server, over connections that are kept from mail to mail.
///
/// They are encrypted and the server's certificate checked, by STARTTLS for `smtp:` and from the first byte for
/// `smtps:`; without encryption nothing is sent. Only on a loopback address is that left to the server, and its certificate
/// believed.
@Worker
public final class SMTPTransport: MailTransport {
  /// Seconds for a connection, for one answer of the server, and for a whole mail. A server may take ten minutes to say that it has taken
  /// a mail (RFC 5321, section 4.5.3.2.6); whoever gives up earlier sends it a second time.
  private static let connectTimeout = 10
  private static let answerTimeout = 600
  private static let timeout = 900

  private let options: [(CURLoption, String)]
  private let numbers: [(CURLoption, Int)]
  /// Handles that no mail is using.
  private var idle: [Transfer] = []

  /// - Parameters:
  ///   - url: `smtp://[user:password@]host[:port]` or `smtps://…`; user and password percent-encoded.
  ///   - caFile: a file of certificates (PEM) to believe the server by, in the place of the system's.
  /// - Throws: `.unavailable` if libcurl cannot work with it.
  public init(url: String, caFile: String? = nil) throws(MailError) {
    let isLocal = Self.isLoopback(url)
    var options = [(CURLOPT_URL, url), (CURLOPT_PROTOCOLS_STR, "smtp,smtps"), (CURLOPT_PROXY, "")]
    if let caFile { options.append((CURLOPT_CAINFO, caFile)) }
    self.options = options
    numbers = [
      (CURLOPT_USE_SSL, Int(isLocal ? CURLUSESSL_TRY.rawValue : CURLUSESSL_ALL.rawValue)),
      (CURLOPT_SSL_VERIFYPEER, isLocal ? 0 : 1),
      (CURLOPT_SSL_VERIFYHOST, isLocal ? 0 : 2),
      (CURLOPT_CONNECTTIMEOUT, Self.connectTimeout),
      (CURLOPT_SERVER_RESPONSE_TIMEOUT, Self.answerTimeout),
      (CURLOPT_TIMEOUT, Self.timeout),
    ]
    idle = [try makeTransfer()]
  }

  public func deliver(_ message: MailMessage, name: String) async throws(MailError) {
    let transfer = if let used = idle.popLast() { used } else { try makeTransfer() }
    transfer.set(CURLOPT_MAIL_FROM, "<\(message.from.address)>")
    transfer.set(CURLOPT_MAIL_RCPT, list: ["<\(message.to.address)>"])
    transfer.setBody(message.encoded())
    let result = await transfer.perform()
    idle.append(transfer)
    guard result.code != CURLE_OK else { return }
    throw Self.error(result)
  }

  /// A 5yz answer to the mail is a final no, a 4yz answer one for now (RFC 5321, section 4.2.1). A no to the connection, to our
  /// credentials or to whom mail is from, and 421, with which a server takes its leave, are about the server or our settings: no mail has a
  /// better chance than this one, and all can wait until an operator has mended them.
  static func error(_ result: TransferResult) -> MailError {
    guard isAboutTheMail(result) else { return .unavailable(result.reason) }
    switch result.reply {
    case 421: return .unavailable(result.reason)
    case 400...499: return .deferred("\(result.reason) (\(result.reply))")
    case 500...599: return .refused("\(result.reason) (\(result.reply))")
    default: return .unavailable(result.reason)
    }
  }

  /// Whether the server has answered so to the recipient or to the mail itself. libcurl's codes do not say which command an answer was to;
  /// its words do (lib/smtp.c), and for the end of a mail alone it has none: then they are those of the code.
  private static func isAboutTheMail(_ result: TransferResult) -> Bool {
    switch result.code {
    case CURLE_SEND_ERROR: result.reason.hasPrefix("RCPT failed") || result.reason.hasPrefix("DATA failed")
    case CURLE_WEIRD_SERVER_REPLY: !result.hasWords
    default: false
    }
  }

  private func makeTransfer() throws(MailError) -> Transfer {
    guard let transfer = Transfer() else { throw .unavailable("no memory for libcurl") }
    let codes = options.map { transfer.set($0.0, $0.1) } + numbers.map { transfer.set($0.0, $0.1) }
    if let failure = codes.first(where: { $0 != CURLE_OK }) { throw .unavailable("libcurl refuses the address (\(failure.rawValue))") }
    return transfer
  }

  /// Whether the URL's host is this machine by its very name: 127.0.0.0/8, ::1 or localhost.
  nonisolated static func isLoopback(_ url: String) -> Bool {
    guard let host = URLComponents(string: url)?.host?.lowercased() else { return false }
    let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
    return ["localhost", "::1", "[::1]"].contains(host) || (numbers.count == 4 && numbers[0] == 127 && numbers.allSatisfy { $0 != nil })
  }
}
