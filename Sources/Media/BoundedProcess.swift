// A program that is run within limits, and waited for on the event loop.

import CLinux
import EventLoop
import Glibc

/// Runs a program that has nothing but the descriptors it is given: not this process's files, sockets, signals or environment.
@Worker
package struct BoundedProcess {
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
  /// - Returns: how it ended; nil, with errno set, if it could not be started.
  package static func run(
    _ command: [String], environment: [String], descriptors: [Int32], limits: Limits
  ) async -> Outcome? {
    // prlimit(1) sets the limits and becomes the program: posix_spawn(3) cannot.
    let limiter = [
      "/usr/bin/prlimit", "--as=\(limits.memory)", "--cpu=\(limits.seconds):\(limits.seconds + 1)", "--fsize=\(limits.fileSize)",
      "--nofile=64", "--core=0", "--",
    ]
    guard let child = start(limiter + command, environment: environment, descriptors: descriptors) else { return nil }
    let descriptor = pidfd_open(child, 0)
    guard descriptor >= 0 else {
      let reason = errno
      kill(child, SIGKILL)
      waitpid(child, nil, 0)
      errno = reason
      return nil
    }
    var timedOut = false
    let alarm = Loop.shared.after(limits.wallTime) {
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
