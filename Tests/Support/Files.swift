// Folders, listening sockets and environment of the tests.

import Foundation
import Glibc

/// A system call that failed, or something that did not come in time.
public struct TestError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }

  static func system(_ call: String) -> TestError { TestError("\(call): \(String(cString: strerror(errno)))") }
}

/// A folder that goes away, with what is in it, when nobody holds it any more.
public final class TemporaryFolder: Sendable {
  public let path: String

  public init() throws {
    var template = Array("/tmp/chatty-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestError.system("mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // A database server or a worker of another user has to get at what is in it.
    chmod(path, 0o755)
  }

  deinit { remove() }

  /// Removes it now.
  public func remove() { try? FileManager.default.removeItem(atPath: path) }

  public func write(_ text: String, to name: String) throws {
    guard let file = fopen("\(path)/\(name)", "w") else { throw TestError.system("fopen") }
    defer { fclose(file) }
    guard fputs(text, file) >= 0 else { throw TestError.system("fputs") }
  }
}

/// A unix socket that listens, as spawn-fcgi makes one for a pool.
public final class ListeningSocket: Sendable {
  public let path: String
  public let descriptor: Int32
  private let folder: TemporaryFolder

  /// - Parameter backlog: connections that may wait to be accepted.
  public init(backlog: Int32 = 1024) throws {
    folder = try TemporaryFolder()
    path = "\(folder.path)/socket"
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw TestError.system("socket") }
    let (file, path) = (descriptor, path)
    guard try withSocketAddress(path, { bind(file, $0, $1) }) == 0, listen(descriptor, backlog) == 0 else { throw TestError.system("bind") }
  }

  deinit { close(descriptor) }

  /// Takes its name away: nobody connects any more.
  public func unlink() { folder.remove() }
}

/// A port of 127.0.0.1 that takes connections and never says anything, as a server does that was stopped.
public final class SilentPort: Sendable {
  public let port: UInt16
  private let descriptor: Int32

  public init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw TestError.system("socket") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let failure = withUnsafeMutablePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, length) != 0 || listen(descriptor, 64) != 0 || getsockname(descriptor, address, &length) != 0
      }
    }
    guard !failure else { throw TestError.system("bind") }
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(descriptor) }
}

/// Calls `body` with the address of a unix socket.
func withSocketAddress<Value>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) throws -> Value {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  let bytes = Array(path.utf8)
  guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw TestError("too long for a socket: \(path)") }
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
  return withUnsafePointer(to: address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
  }
}

/// A variable of this process's environment; nil if it is not set or empty.
public func environmentVariable(_ name: String) -> String? {
  guard let value = getenv(name), value.pointee != 0 else { return nil }
  return String(cString: value)
}
