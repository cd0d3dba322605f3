// A responder in the test process.

import EventLoop
import FastCGI
import Glibc

/// A responder on the tests' event loop with a socket of its own.
public final class TestServer: Sendable {
  private let listener: ListeningSocket
  public let responder: Responder

  public var path: String { listener.path }

  private init(_ listener: ListeningSocket, _ responder: Responder) {
    self.listener = listener
    self.responder = responder
  }

  public static func start(
    limits: Responder.Limits = Responder.Limits(), handler: @escaping Responder.Handler
  ) async throws -> TestServer {
    let listener = try ListeningSocket()
    return try await onLoop {
      let responder = Responder(listeningSocket: listener.descriptor, limits: limits, handler: handler)
      responder.start()
      return TestServer(listener, responder)
    }
  }

  deinit {
    listener.unlink()
    // Whatever is left of it goes when its clients have: the socket has to stay open as long as the loop watches it.
    Loop.start { [listener, responder] in
      await responder.drain()
      withExtendedLifetime(listener) {}
    }
  }

  /// Whether a connection waits at the socket that no worker has accepted. It is accepted, and closed at once.
  public func acceptsElsewhere() -> Bool {
    let descriptor = accept(listener.descriptor, nil, nil)
    if descriptor >= 0 { close(descriptor) }
    return descriptor >= 0
  }

  public func client(on executor: ThreadExecutor? = nil) async throws -> FastCGIClient {
    try await .connect(to: path, on: executor, of: self)
  }
}
