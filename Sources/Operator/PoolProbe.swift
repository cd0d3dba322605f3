// Asks a pool whether it is ready, as nginx does: one FastCGI request (FastCGI 1.0, section 3) over its socket.

import Glibc

struct PoolProbe {
  let socket: String

  /// Seconds to wait for an answer.
  private static let patience = 5

  /// - Throws: `Failure` if nobody listens, nobody answers, or the pool says that it is not ready.
  func ask() throws {
    let descriptor = try connected()
    defer { close(descriptor) }
    let request = Self.request(["REQUEST_METHOD": "GET", "REQUEST_URI": "/-/ready", "SERVER_PROTOCOL": "HTTP/1.1"])
    guard request.withUnsafeBytes({ send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }) == request.count else {
      throw Failure("takes no request: \(String(cString: strerror(errno)))")
    }
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      guard count >= 0 else { throw Failure("no answer: \(String(cString: strerror(errno)))") }
      if count == 0 { break }
      answer += chunk[..<count]
    }
    // Readiness is a short answer in one record, and a status other than 200 is always written out.
    let text = String(decoding: answer, as: UTF8.self)
    guard text.contains(#""status":"ready""#) else { throw Failure("not ready") }
  }

  private func connected() throws -> Int32 {
    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Failure(String(cString: strerror(errno))) }
    var wait = timeval(tv_sec: Self.patience, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = Array(socket.utf8)
    guard path.count < MemoryLayout.size(ofValue: address.sun_path) else { throw Failure("its path is too long for a socket") }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    guard status == 0 else {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      throw Failure(reason)
    }
    return descriptor
  }

  /// Begin, parameters, and an empty body; the responder is to close the connection after its answer.
  private static func request(_ parameters: [String: String]) -> [UInt8] {
    let responder: [UInt8] = [0, 1, 0, 0, 0, 0, 0, 0]
    var encoded: [UInt8] = []
    for (name, value) in parameters { encoded += [UInt8(name.utf8.count), UInt8(value.utf8.count)] + Array(name.utf8) + Array(value.utf8) }
    return record(1, responder) + record(4, encoded) + record(4, []) + record(5, [])
  }

  /// A record of request 1 with at most 255 bytes.
  private static func record(_ type: UInt8, _ content: [UInt8]) -> [UInt8] {
    [1, type, 0, 1, 0, UInt8(content.count), 0, 0] + content
  }
}
