// libcurl's transfers on the event loop: curl_multi_socket_action(3). While one waits for its server, everything else goes on.

import CCurl
import EventLoop

/// Runs transfers side by side, and keeps their connections for the next ones to the same server.
@Worker
public final class Transfers {
  private let multi: UnsafeMutableRawPointer
  private let wishes = Wishes()
  private var timer: TimerID?
  private var running: [UnsafeMutableRawPointer: Running] = [:]

  private struct Running {
    let transfer: Transfer
    let continuation: UnsafeContinuation<TransferResult, Never>
  }

  /// nil if libcurl has no memory.
  public init?() {
    guard let multi = curl_multi_init() else { return nil }
    self.multi = multi
    chatty_curl_set_callbacks(multi, Wishes.socket, Wishes.timer, Unmanaged.passUnretained(wishes).toOpaque())
  }

  isolated deinit {
    curl_multi_cleanup(multi)
    apply()
    if let timer { Loop.shared.cancel(timer) }
  }

  /// Runs a transfer to its end. Its own timeouts bound how long that takes.
  public func perform(_ transfer: Transfer) async -> TransferResult {
    await withUnsafeContinuation { continuation in
      guard curl_multi_add_handle(multi, transfer.handle) == CURLM_OK else {
        continuation.resume(returning: transfer.result(CURLE_FAILED_INIT))
        return
      }
      running[transfer.handle] = Running(transfer: transfer, continuation: continuation)
      apply()
    }
  }

  /// Does what libcurl has asked for in the call before, and ends what has ended.
  private func apply() {
    for (socket, interest) in wishes.takeSockets() {
      if let interest {
        Loop.shared.watch(socket, interest) { [weak self] readiness in self?.act(on: socket, readiness) }
      } else {
        Loop.shared.unwatch(socket)
      }
    }
    if let delay = wishes.takeDelay() {
      if let timer { Loop.shared.cancel(timer) }
      timer = delay < 0 ? nil : Loop.shared.after(.milliseconds(delay)) { [weak self] in self?.timeHasCome() }
    }
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left)?.pointee {
      guard message.msg == CURLMSG_DONE, let handle = message.easy_handle, let ended = running.removeValue(forKey: handle) else { continue }
      let result = ended.transfer.result(message.data.result)
      curl_multi_remove_handle(multi, handle)
      ended.continuation.resume(returning: result)
    }
  }

  private func act(on socket: Int32, _ readiness: Readiness) {
    var action: Int32 = 0
    if !readiness.isDisjoint(with: [.readable, .hangup]) { action |= CURL_CSELECT_IN }
    if readiness.contains(.writable) { action |= CURL_CSELECT_OUT }
    if !readiness.isDisjoint(with: .error) { action |= CURL_CSELECT_ERR }
    proceed(socket, action)
  }

  private func timeHasCome() {
    timer = nil
    proceed(CURL_SOCKET_TIMEOUT, 0)
  }

  private func proceed(_ socket: Int32, _ action: Int32) {
    var count: Int32 = 0
    curl_multi_socket_action(multi, socket, action, &count)
    apply()
  }
}

/// What libcurl asks for while it is called: which sockets to watch, and when to call it again. Its callbacks only note it, since
/// they may not call libcurl again. They come within calls of the loop's thread, and on no other.
private final class Wishes: @unchecked Sendable {
  private var sockets: [(socket: Int32, interest: Readiness?)] = []
  private var delay: Int?

  func takeSockets() -> [(socket: Int32, interest: Readiness?)] {
    defer { sockets = [] }
    return sockets
  }

  /// In milliseconds; negative: not at all; nil: as it was.
  func takeDelay() -> Int? {
    defer { delay = nil }
    return delay
  }

  static let socket: curl_socket_callback = { _, socket, what, wishes, _ in
    guard let wishes else { return 0 }
    let interest: Readiness? =
      switch what {
      case CURL_POLL_IN: .readable
      case CURL_POLL_OUT: .writable
      case CURL_POLL_INOUT: [.readable, .writable]
      default: nil
      }
    Unmanaged<Wishes>.fromOpaque(wishes).takeUnretainedValue().sockets.append((socket, interest))
    return 0
  }

  static let timer: curl_multi_timer_callback = { _, milliseconds, wishes in
    guard let wishes else { return 0 }
    Unmanaged<Wishes>.fromOpaque(wishes).takeUnretainedValue().delay = milliseconds
    return 0
  }
}
