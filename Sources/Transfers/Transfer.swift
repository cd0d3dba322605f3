// Transfers by libcurl, beside the event loop. This file owns the library and knows no protocol.

import CCurl
import EventLoop

/// What a transfer came to.
public struct TransferResult: Sendable {
  public let code: CURLcode
  /// The last answer code of the server, 0 if there was none: for SMTP the three digits of a reply.
  public let reply: Int
  /// What went wrong, in libcurl's words for this transfer or, if it had none, for the code; empty if nothing did.
  public let reason: String
  /// Whether libcurl had words for this transfer.
  public let hasWords: Bool
}

/// A handle of libcurl's easy interface, with its options, its body and the connection that it keeps for the next transfer. It can be
/// used for one transfer after the other, never for two at once.
public final class Transfer: @unchecked Sendable {
  private let handle: UnsafeMutableRawPointer
  private var body: Body?
  private var list: UnsafeMutablePointer<curl_slist>?
  private let reason = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

  /// nil if libcurl has no memory.
  public init?() {
    guard let handle = curl_easy_init() else { return nil }
    self.handle = handle
    reason[0] = 0
    // Signals are the event loop's.
    chatty_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    chatty_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, reason)
  }

  deinit {
    curl_easy_cleanup(handle)
    curl_slist_free_all(list)
    reason.deallocate()
  }

  /// Sets an option to a text, which libcurl copies.
  @discardableResult
  public func set(_ option: CURLoption, _ value: String) -> CURLcode { chatty_curl_set_string(handle, option, value) }

  /// Sets an option to a number.
  @discardableResult
  public func set(_ option: CURLoption, _ value: Int) -> CURLcode { chatty_curl_set_long(handle, option, value) }

  /// Sets the option that is a list: a transfer has one at most, such as the recipients of a mail.
  public func set(_ option: CURLoption, list values: [String]) {
    let earlier = list
    list = values.reduce(nil) { curl_slist_append($0, $1) ?? $0 }
    chatty_curl_set_list(handle, option, list)
    curl_slist_free_all(earlier)
  }

  /// Has the transfer send these bytes.
  public func setBody(_ bytes: [UInt8]) {
    let body = Body(bytes)
    self.body = body
    chatty_curl_set_long(handle, CURLOPT_UPLOAD, 1)
    chatty_curl_set_size(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(bytes.count))
    chatty_curl_set_read(handle, Body.read, Unmanaged.passUnretained(body).toOpaque())
  }

  /// Runs the transfer to its end; its own timeouts bound how long that takes. The calling task is suspended meanwhile.
  ///
  /// It runs on a thread, and not on the event loop by curl_multi_socket_action(3): libcurl (7.88) waits for the answer to the end
  /// of a mail in poll(2), whatever interface it was called by, and a slow mail server would hold up everything else.
  public func perform() async -> TransferResult {
    await withUnsafeContinuation { continuation in
      let isStarted = DetachedThread.start { [self] in continuation.resume(returning: result(curl_easy_perform(handle))) }
      if !isStarted { continuation.resume(returning: result(CURLE_OUT_OF_MEMORY)) }
    }
  }

  private func result(_ code: CURLcode) -> TransferResult {
    let said = code == CURLE_OK ? "" : String(cString: reason)
    let text = code == CURLE_OK || !said.isEmpty ? said : String(cString: curl_easy_strerror(code))
    reason[0] = 0
    return TransferResult(code: code, reply: chatty_curl_response_code(handle), reason: text, hasWords: !said.isEmpty)
  }

  /// The bytes of a body as libcurl asks for them.
  private final class Body {
    private let bytes: [UInt8]
    private var sent = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static let read: curl_read_callback = { buffer, size, count, body in
      guard let buffer, let body else { return 0 }
      return Unmanaged<Body>.fromOpaque(body).takeUnretainedValue().copy(into: buffer, limit: size * count)
    }

    private func copy(into buffer: UnsafeMutablePointer<CChar>, limit: Int) -> Int {
      let count = min(limit, bytes.count - sent)
      bytes.withUnsafeBytes { bytes in
        if let start = bytes.baseAddress { UnsafeMutableRawPointer(buffer).copyMemory(from: start + sent, byteCount: count) }
      }
      sent += count
      return count
    }
  }
}
