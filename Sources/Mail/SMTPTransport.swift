// Mail by SMTP. This file owns libcurl.

import CCurl
import FoundationEssentials

/// Sends mail through one SMTP server (RFC 5321), keeping the connection open from mail to mail.
///
/// The connection is encrypted and the server's certificate checked, by STARTTLS for `smtp:` and from the first byte for
/// `smtps:`; without encryption nothing is sent. Only on a loopback address is that left to the server, and its certificate
/// believed.
public final class SMTPTransport: MailTransport {
  /// Seconds for a connection, and for a whole mail.
  private static let connectTimeout = 10
  public static let timeout = 60

  private let curl: OpaquePointer

  /// - Parameter url: `smtp://[user:password@]host[:port]` or `smtps://…`; user and password percent-encoded.
  /// - Throws: `.failed` if libcurl cannot work with it.
  public init(url: String) throws(MailError) {
    guard let curl = curl_easy_init().map({ OpaquePointer($0) }) else { throw .failed("no memory for libcurl") }
    self.curl = curl
    let handle = UnsafeMutableRawPointer(curl)
    let isLocal = Self.isLoopback(url)
    let codes = [
      chatty_curl_set_string(handle, CURLOPT_URL, url),
      chatty_curl_set_string(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps"),
      chatty_curl_set_string(handle, CURLOPT_PROXY, ""),
      chatty_curl_set_long(handle, CURLOPT_USE_SSL, Int(isLocal ? CURLUSESSL_TRY.rawValue : CURLUSESSL_ALL.rawValue)),
      chatty_curl_set_long(handle, CURLOPT_SSL_VERIFYPEER, isLocal ? 0 : 1),
      chatty_curl_set_long(handle, CURLOPT_SSL_VERIFYHOST, isLocal ? 0 : 2),
      chatty_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT, Self.connectTimeout),
      chatty_curl_set_long(handle, CURLOPT_TIMEOUT, Self.timeout),
      chatty_curl_set_long(handle, CURLOPT_NOSIGNAL, 1),
      chatty_curl_set_long(handle, CURLOPT_UPLOAD, 1),
    ]
    if let failure = codes.first(where: { $0 != CURLE_OK }) { throw .failed(Self.text(failure)) }
  }

  deinit { curl_easy_cleanup(UnsafeMutableRawPointer(curl)) }

  public func deliver(_ message: MailMessage, name: String) throws(MailError) {
    let handle = UnsafeMutableRawPointer(curl)
    let upload = Upload(message.encoded())
    let recipients = curl_slist_append(nil, "<\(message.to.address)>")
    defer { curl_slist_free_all(recipients) }
    var reason = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))

    let code = reason.withUnsafeMutableBytes { reason in
      chatty_curl_set_string(handle, CURLOPT_MAIL_FROM, "<\(message.from.address)>")
      chatty_curl_set_list(handle, CURLOPT_MAIL_RCPT, recipients)
      chatty_curl_set_size(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(upload.bytes.count))
      chatty_curl_set_read(handle, Upload.read, Unmanaged.passUnretained(upload).toOpaque())
      chatty_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, reason.baseAddress)
      let code = withExtendedLifetime(upload) { curl_easy_perform(handle) }
      chatty_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, nil)
      return code
    }
    guard code != CURLE_OK else { return }

    let said = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let text = said.isEmpty ? Self.text(code) : said
    throw Self.isRefusal(code, reply: chatty_curl_response_code(handle)) ? .refused(text) : .failed(text)
  }

  /// Whether the server has said a final no to this mail. A no to the connection or to our credentials is about the server's or
  /// our settings: the mail can wait until an operator has mended them.
  private static func isRefusal(_ code: CURLcode, reply: Int) -> Bool {
    let isAboutTheMail = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_WEIRD_SERVER_REPLY
    return isAboutTheMail && (550...559).contains(reply)
  }

  private static func text(_ code: CURLcode) -> String { String(cString: curl_easy_strerror(code)) }

  /// Whether the URL's host is this machine by its very name: 127.0.0.0/8, ::1 or localhost.
  static func isLoopback(_ url: String) -> Bool {
    guard let host = URLComponents(string: url)?.host?.lowercased() else { return false }
    let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
    return ["localhost", "::1", "[::1]"].contains(host) || (numbers.count == 4 && numbers[0] == 127 && numbers.allSatisfy { $0 != nil })
  }

  /// The bytes of a mail as libcurl asks for them.
  private final class Upload {
    let bytes: [UInt8]
    private var sent = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static let read: curl_read_callback = { buffer, size, count, upload in
      guard let buffer, let upload else { return 0 }
      return Unmanaged<Upload>.fromOpaque(upload).takeUnretainedValue().copy(into: buffer, limit: size * count)
    }

    private func copy(into buffer: UnsafeMutablePointer<CChar>, limit: Int) -> Int {
      let part = bytes[sent..<min(sent + limit, bytes.count)]
      UnsafeMutableRawPointer(buffer).copyMemory(from: Array(part), byteCount: part.count)
      sent += part.count
      return part.count
    }
  }
}
