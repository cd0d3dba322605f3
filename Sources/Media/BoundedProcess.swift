// A program that is run within limits, and waited for on the event loop.

import CLinux
import EventLoop
import Glibc

/// Runs a program that has nothing but the descriptors it is given: not this process's files, sockets, signals or environment, and in
/// its sandbox hardly anything else.
@Worker
package struct BoundedProcess {
  /// Where programs run: set at the start, if at all.
  package static var sandbox = Sandbox.namespaces

  /// Enforced by the kernel (setrlimit(2)), but for the time on the clock.
  package struct Limits: Sendable {
    /// Address space, in bytes: what goes beyond it is not there (ENOMEM).
    var memory: Int
    /// Of processor time: then SIGXCPU ends it, and SIGKILL a second later if it did not.
    var seconds: Int
    /// Of a file that it writes, in bytes: then SIGXFSZ ends it.
    var fileSize: Int
    /// On the clock: then it is killed.
    var wallTime: Duration

    package init(memory: Int, seconds: Int, fileSize: Int, wallTime: Duration) {
      self.memory = memory
      self.seconds = seconds
      self.fileSize = fileSize
      self.wallTime = wallTime
    }
  }

  /// How a program has ended.
  package enum Outcome: Equatable, Sendable {
    case exited(Int32)
    /// By this signal, its own or somebody else's.
    case killed(Int32)
    /// Killed, since it was not done in time on the clock.
    case timedOut
  }

  /// - Parameters:
  ///   - command: a program's path and its arguments.
  ///   - environment: all of it.
  ///   - descriptors: become its descriptors 0, 1, 2 and so on.
  /// - Returns: how it ended: with status 127 if the sandbox, or the program in it, could not be started; nil, with errno set, if not
  ///   even that could be tried.
  package static func run(
    _ command: [String], environment: [String], descriptors: [Int32], limits: Limits
  ) async -> Outcome? {
    // prlimit(1) sets the limits and becomes the next program: posix_spawn(3) cannot.
    let limiter = [
      "/usr/bin/prlimit", "--as=\(limits.memory)", "--cpu=\(limits.seconds):\(limits.seconds + 1)", "--fsize=\(limits.fileSize)",
      "--nofile=64", "--core=0", "--",
    ]
    let first = Int32(descriptors.count)
    let wrapped = limiter + sandbox.wrapping(command, passing: first)
    switch sandbox {
    case .none:
      guard let child = start(wrapped, environment: environment, descriptors: descriptors) else { return nil }
      return await wait(for: child, limits.wallTime)
    case .namespaces:
      // Under numbers that the child gets nothing by: they could be overwritten before they are passed on.
      let (filter, status) = (moved(SystemCallFilter.makeFile(), above: first), moved(memfd_create("status", MFD_CLOEXEC), above: first))
      defer {
        close(filter)
        close(status)
      }
      guard filter >= 0, status >= 0,
        let child = start(wrapped, environment: environment, descriptors: descriptors + [filter, status]),
        let outcome = await wait(for: child, limits.wallTime)
      else { return nil }
      return within(outcome, status)
    }
  }

  private static func moved(_ descriptor: Int32, above number: Int32) -> Int32 {
    guard descriptor >= 0 else { return descriptor }
    defer { close(descriptor) }
    return fcntl(descriptor, F_DUPFD_CLOEXEC, number + 2)
  }

  /// What became of the program, from what became of bubblewrap.
  private static func within(_ outcome: Outcome, _ status: Int32) -> Outcome {
    guard case .exited(let code) = outcome else { return outcome }
    // bubblewrap says how the program has ended, if it came to that.
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = pread(status, &bytes, bytes.count, 0)
    guard String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self).contains("\"exit-code\"") else { return .exited(127) }
    // As a shell does it.
    return (129...192).contains(code) ? .killed(code - 128) : outcome
  }

  private static func wait(for child: pid_t, _ wallTime: Duration) async -> Outcome? {
    let descriptor = pidfd_open(child, 0)
    guard descriptor >= 0 else {
      let reason = errno
      kill(child, SIGKILL)
      waitpid(child, nil, 0)
      errno = reason
      return nil
    }
    var timedOut = false
    let alarm = Loop.shared.after(wallTime) {
      timedOut = true
      kill(child, SIGKILL)
    }
    await withUnsafeContinuation { continuation in
      Loop.shared.watch(descriptor, .readable) { _ in
        Loop.shared.unwatch(descriptor)
        continuation.resume()
      }
    }
    Loop.shared.cancel(alarm)
    close(descriptor)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    if timedOut { return .timedOut }
    // WIFEXITED, WEXITSTATUS and WTERMSIG are macros.
    return status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .killed(status & 0x7f)
  }

  private static func start(_ command: [String], environment: [String], descriptors: [Int32]) -> pid_t? {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    for (number, descriptor) in descriptors.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, Int32(descriptors.count))
    posix_spawn_file_actions_addchdir_np(&actions, "/")
    // The loop has blocked the signals that it reads (Signals.swift), and libfcgi has its own handlers.
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let arguments = CStrings(command)
    let variables = CStrings(environment)
    var child: pid_t = 0
    let error = posix_spawn(&child, command[0], &actions, &attributes, arguments.pointers, variables.pointers)
    errno = error
    return error == 0 ? child : nil
  }
}

/// A NULL-terminated array of C strings.
private final class CStrings {
  let pointers: [UnsafeMutablePointer<CChar>?]

  init(_ strings: [String]) { pointers = strings.map { strdup($0) } + [nil] }
  deinit { for pointer in pointers { free(pointer) } }
}
