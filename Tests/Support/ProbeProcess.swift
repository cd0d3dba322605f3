// The worker process that tests send signals to.

import Foundation
import Glibc
import Postgres

/// A process of the executable `Probe`, a service as Chatty's own are, with its socket as descriptor 0.
public final class ProbeProcess: Sendable {
  private let listener: ListeningSocket
  private let folder: TemporaryFolder
  private let output: OutputFile
  public let process: ChildProcess

  /// - Parameters:
  ///   - keys: the contents of `jwks.json`.
  ///   - environment: besides what every worker needs; it wins.
  public static func start(keys: Data, environment: [String: String] = [:]) async throws -> ProbeProcess {
    // The role that the URL means: a service would connect as its own.
    let user = try await withClient { try await $0.client.readOne("SELECT current_user", as: String.self) } ?? ""
    return try ProbeProcess(keys, ["CHATTY_DATABASE_URL": try TestDatabase.url, "CHATTY_DATABASE_USER": user].merging(environment) { $1 })
  }

  private init(_ keys: Data, _ environment: [String: String]) throws {
    folder = try TemporaryFolder()
    output = try OutputFile(in: folder)
    listener = try ListeningSocket()
    try keys.write(to: URL(filePath: "\(folder.path)/jwks.json"))
    let common = ["CHATTY_HOME": folder.path, "CHATTY_KEYS": folder.path, "CHATTY_LOG_LEVEL": "info", "LANG": "C.UTF-8"]
    process = try ChildProcess(
      [try BuiltExecutable.path("Probe")], environment: common.merging(environment) { $1 }, input: listener.descriptor,
      output: output.descriptor)
  }

  public func client(on executor: ThreadExecutor? = nil) async throws -> FastCGIClient {
    try await .connect(to: listener.path, on: executor, of: self)
  }

  /// What it has written on standard error so far.
  public var log: String { output.text }

  /// Asks it to end, and waits for that.
  ///
  /// - Returns: its exit status.
  public func terminate() async throws -> Int32 {
    process.signal(SIGTERM)
    return try await process.waitForExit()
  }
}
