// `chatty check`: whether everything that a stack needs is there and answers.

import ArgumentParser
import EventLoop
import Glibc
import Postgres
import ServiceKit

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Checks the settings, the database, the keys and the pools' sockets.",
    discussion: "Ends with status 1 if something is wrong, and with 78 if it is a setting.")

  private static let pools = ["auth", "login", "posts", "uploads", "feed", "admin", "recommendations"]

  func run() throws {
    let settings = operatorSettings()
    print("ok      settings")
    var isWell = report("keys") { _ = try TokenCheck(keys: try publishedKeys(settings), issuer: settings.publicURL) }
    for pool in Self.pools {
      isWell = report("\(pool).sock") { try PoolProbe(socket: "\(settings.home)/run/\(pool).sock").ask() } && isWell
    }
    isWell =
      report("database") {
        try withDatabase { database in
          guard try await database.readOne("SELECT max(version)::bigint FROM migrations", as: Int64.self) != nil else {
            throw Failure("has no tables")
          }
        }
      } && isWell
    if !isWell { throw ExitCode.failure }
  }

  private func publishedKeys(_ settings: Settings) throws -> JSONWebKeySet {
    try JSONWebKeySet(path: "\(settings.keys)/\(JSONWebKeySet.fileName)")
  }

  private func report(_ what: String, _ check: () throws -> Void) -> Bool {
    do {
      try check()
      print("ok      \(what)")
      return true
    } catch {
      print("failed  \(what): \(error)")
      return false
    }
  }
}
