// libfcgi's side of one connection: the only file that touches an FCGX_Request.

import CFastCGI
import EventLoop
import Glibc

/// A connection accepted from the web server, over which requests come one after another.
///
/// What was found out about libfcgi 2.4 and is relied on here: `ipcFd` takes a descriptor that was accepted elsewhere;
/// `keepConnection` must be 1 before the first request, or `FCGX_Finish_r` closes it; with `detached` set it closes without waiting
/// up to two seconds for the peer to close first; a listening socket of -1 makes `FCGX_Accept_r` fail, rather than accept a
/// new connection behind our back, when the present one breaks; after `FCGX_Finish_r` the connection lives on iff `ipcFd >= 0`.
@Worker
final class Exchange {
  private let memory: RequestMemory
  private var request: UnsafeMutablePointer<FCGX_Request> { memory.pointer }
  let descriptor: Int32

  /// Used again for every response.
  private static var head: [UInt8] = []
  private static let initialized = FCGX_Init()
  /// FCGI_RESPONDER of FastCGI 1.0, section 8, which no header has.
  private static let responderRole: Int32 = 1

  init(descriptor: Int32) {
    _ = Self.initialized
    self.descriptor = descriptor
    memory = RequestMemory()
    FCGX_InitRequest(request, -1, 0)
    request.pointee.ipcFd = descriptor
    request.pointee.keepConnection = 1
    request.pointee.detached = 1
  }

  /// Reads the request that has arrived, whole.
  ///
  /// - Parameters:
  ///   - spool: where it is, if not in the socket.
  ///   - limit: the longest body that is taken, in bytes; more is read and thrown away, so that the connection can go on.
  /// - Returns: nil if the connection broke, or what came is no request for a responder, or its body is not as long as it says
  ///   (RFC 3875, section 4.1.2): a part of what somebody sent is nothing to act upon.
  func read(from spool: Spool?, limit: Int) -> Request? {
    guard let spool else { return read(limit: limit) }
    // libfcgi looks up the descriptor for each call: it may read from one and write to another.
    request.pointee.ipcFd = spool.takeDescriptor()
    defer {
      // It has closed the file itself if what was there is no request.
      if request.pointee.ipcFd >= 0 { close(request.pointee.ipcFd) }
      request.pointee.ipcFd = descriptor
    }
    return read(limit: limit)
  }

  private func read(limit: Int) -> Request? {
    guard FCGX_Accept_r(request) == 0, let environment = request.pointee.envp else { return nil }
    let parameters = Parameters(copying: environment)
    guard request.pointee.role == Self.responderRole else { return nil }
    var body: [UInt8] = []
    var isTooLarge = false
    let announced = parameters["CONTENT_LENGTH"].map { Int($0) ?? -1 }
    if let announced, announced > 0 { body.reserveCapacity(min(announced, limit)) }
    // To the end also where there is no body: the empty record that ends it would be taken for the next request's.
    // So small that it is on the stack.
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { chunk in
      while true {
        let count = FCGX_GetStr(chunk.baseAddress, Int32(chunk.count), request.pointee.in)
        if count > 0 {
          if body.count + Int(count) > limit { isTooLarge = true }
          if !isTooLarge { body.append(contentsOf: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(chunk)[..<Int(count)])) }
        }
        if count < chunk.count { break }
      }
    }
    guard FCGX_GetError(request.pointee.in) == 0 else { return nil }
    // Of a body that is too large not all has been kept.
    if let announced, announced != body.count, !isTooLarge { return nil }
    return Request(
      method: parameters["REQUEST_METHOD"] ?? "", target: parameters["REQUEST_URI"] ?? "/", body: isTooLarge ? [] : body,
      bodyIsTooLarge: isTooLarge, parameters: parameters)
  }

  /// Sends the response and ends the request.
  ///
  /// - Returns: whether the connection is still open for another request.
  func finish(_ response: Response) -> Bool {
    Self.head.removeAll(keepingCapacity: true)
    response.appendHead(to: &Self.head)
    put(Self.head)
    if !response.omitsBody { put(response.body) }
    FCGX_Finish_r(request)
    return request.pointee.ipcFd >= 0
  }

  private func put(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { buffer in
      guard let start = buffer.bindMemory(to: CChar.self).baseAddress else { return }
      FCGX_PutStr(start, Int32(buffer.count), request.pointee.out)
    }
  }
}

/// Owns libfcgi's record of a connection, and with it the descriptor.
private struct RequestMemory: ~Copyable {
  let pointer: UnsafeMutablePointer<FCGX_Request>

  init() {
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: FCGX_Request())
  }

  deinit {
    FCGX_Free(pointer, 1)
    pointer.deallocate()
  }
}
