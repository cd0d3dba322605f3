// A service in the test process: routes of a test behind a real socket.

import EventLoop
import FastCGI
import Foundation
import Logging
import ServiceKit
import TestSupport

/// A running service, and the key that tokens for it are signed with.
struct TestService: Sendable {
  let server: TestServer
  fileprivate let key: SigningKey
  fileprivate let keys: TemporaryFolder

  static let issuer = "https://chatty.example"

  /// Nothing of the services' logs between the tests' lines.
  private static let silence: Void = LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }

  /// - Parameters:
  ///   - bodyLimit: of a request, in bytes.
  ///   - database: where it is; nil for an address where there is none.
  ///   - settings: further variables of the environment.
  static func start(
    _ routes: [Route], bodyLimit: Int = 1 << 20, database: String? = nil, settings: [String: String] = [:]
  ) async throws -> TestService {
    silence
    let folder = try TemporaryFolder()
    let key = SigningKey()
    try JSONWebKeySet(keys: [key.publicKey]).encoded().write(to: URL(filePath: "\(folder.path)/\(JSONWebKeySet.fileName)"))
    var environment = ["CHATTY_HOME": folder.path, "CHATTY_KEYS": folder.path, "CHATTY_PUBLIC_URL": issuer]
    if let database {
      environment["CHATTY_DATABASE_URL"] = database
      environment["CHATTY_DATABASE_USER"] = try await withClient { try await $0.client.readOne("SELECT current_user", as: String.self) }
    }
    environment.merge(settings) { $1 }
    let all = try Settings(environment, name: "test")
    let dispatcher = try await onLoop {
      Dispatcher(
        routes: routes, settings: all, database: Database(PostgresClient(all.database, writeConnections: 1)),
        verifier: try TokenVerifier(keys: all.keys, issuer: all.publicURL))
    }
    var limits = Responder.Limits()
    limits.bodyLength = bodyLimit
    let server = try await TestServer.start(limits: limits) { await dispatcher.respond(to: $0) }
    return TestService(server: server, key: key, keys: folder)
  }

  func client() async throws -> FastCGIClient { try await server.client() }

  /// An access token.
  func token(user: Int64 = 7, session: Int64 = 9, issuer: String = TestService.issuer) throws -> String {
    try key.sign(AccessToken(issuer: issuer, userID: user, sessionID: session, now: Int64(Date().timeIntervalSince1970)))
  }
}

extension [(name: String, value: String)] {
  static func bearer(_ token: String) -> Self { [("HTTP_AUTHORIZATION", "Bearer \(token)")] }
}
