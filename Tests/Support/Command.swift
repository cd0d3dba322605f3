// Child processes of the tests.

import Glibc

/// A process that a test has started.
public final class ChildProcess: Sendable {
  public let id: pid_t

  /// - Parameters:
  ///   - arguments: the executable's path, and what follows it.
  ///   - environment: all that it gets.
  ///   - input: becomes its descriptor 0.
  ///   - output: becomes its descriptors 1 and 2.
  public init(_ arguments: [String], environment: [String: String], input: Int32, output: Int32) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (descriptor, target) in [(input, 0), (output, 1), (output, 2)] as [(Int32, Int32)] {
      posix_spawn_file_actions_adddup2(&actions, descriptor, target)
    }
    var process = pid_t()
    let variables = environment.map { "\($0.key)=\($0.value)" }
    let status = arguments[0].withCString { executable in
      withCStrings(arguments) { arguments in
        withCStrings(variables) { variables in posix_spawn(&process, executable, &actions, nil, arguments, variables) }
      }
    }
    guard status == 0 else { throw TestError("cannot start \(arguments[0]): \(String(cString: strerror(status)))") }
    id = process
  }

  public func signal(_ signal: Int32) { kill(id, signal) }

  /// Waits for its end.
  ///
  /// - Returns: its exit status, or minus the number of the signal that ended it.
  public func waitForExit() async throws -> Int32 {
    let process = id
    return try await onOwnThread {
      var status: Int32 = 0
      while waitpid(process, &status, 0) < 0 {
        guard errno == EINTR else { throw TestError.system("waitpid") }
      }
      let signal = status & 0x7f
      return signal == 0 ? (status >> 8) & 0xff : -signal
    }
  }
}

private func withCStrings<Value>(_ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Value) -> Value {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
  defer { for pointer in pointers { free(pointer) } }
  return pointers.withUnsafeMutableBufferPointer { buffer in
    guard let base = buffer.baseAddress else { preconditionFailure("an array with an element has an address") }
    return body(base)
  }
}

/// What a child process writes, kept in a file.
public final class OutputFile: Sendable {
  public let path: String
  public let descriptor: Int32

  public init(in folder: TemporaryFolder) throws {
    path = "\(folder.path)/output-\(UInt32.random(in: .min ... .max))"
    descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_APPEND, 0o600)
    guard descriptor >= 0 else { throw TestError.system("open") }
  }

  deinit { close(descriptor) }

  public var text: String {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = pread(descriptor, &chunk, chunk.count, off_t(bytes.count))
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += chunk[..<count]
    }
  }
}
