// A program that is run beside the worker, while the loop goes on.

import EventLoop
import Glibc

/// A child process and what it says. It is waited for on the loop.
@Worker
final class ChildProcess {
  /// How much of what it says is kept, in bytes.
  private static let outputLimit = 16_384

  private let id: pid_t
  private let output: Int32
  private var text: [UInt8] = []
  private(set) var isOver = false

  /// Starts a program with this process's environment; nothing of its signals and descriptors.
  ///
  /// - Parameter arguments: the executable's path, and what follows it.
  /// - Returns: nil if it cannot be started; `errno` says why.
  init?(_ arguments: [String]) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return nil }
    let (readEnd, writeEnd) = (ends[0], ends[1])
    defer { close(writeEnd) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, writeEnd, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, writeEnd, STDERR_FILENO)
    // The loop reads its signals from a descriptor and has them blocked (EventLoop/Signals.swift).
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    var process = pid_t()
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    let status = posix_spawn(&process, arguments[0], &actions, &attributes, &words, environ)
    guard status == 0 else {
      close(readEnd)
      errno = status
      return nil
    }
    id = process
    output = readEnd
  }

  /// Tells it to end, unless it has.
  func terminate() { if !isOver { kill(id, SIGTERM) } }

  /// Waits until it has ended.
  ///
  /// - Returns: its exit status, or minus the number of the signal that ended it; and what it said.
  func end() async -> (status: Int32, output: String) {
    await withUnsafeContinuation { continuation in
      Loop.shared.watch(output, .readable) { [self] _ in
        if !readOutput() { continuation.resume() }
      }
    }
    close(output)
    var status: Int32 = 0
    // It has closed its output: it is ending now.
    while waitpid(id, &status, 0) < 0, errno == EINTR {}
    isOver = true
    let signal = status & 0x7f
    return (signal == 0 ? (status >> 8) & 0xff : -signal, String(decoding: text, as: UTF8.self))
  }

  /// - Returns: false at the end.
  private func readOutput() -> Bool {
    var chunk = [UInt8](repeating: 0, count: 4096)
    let count = read(output, &chunk, chunk.count)
    if count < 0, errno == EINTR { return true }
    guard count > 0 else {
      Loop.shared.unwatch(output)
      return false
    }
    text.append(contentsOf: chunk[..<min(count, Self.outputLimit - text.count)])
    return true
  }
}
