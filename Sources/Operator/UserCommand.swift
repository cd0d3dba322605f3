// `chatty user`: accounts.

import ArgumentParser
import EventLoop
import Glibc
import Passwords
import Postgres
import ServiceKit

struct UserCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "user",
    abstract: "Accounts: make, appoint, block, verify, let in again, show, delete.",
    subcommands: [
      Create.self, Promote.self, Block.self, Unblock.self, Verify.self, Password.self, Logout.self, Unlock.self, Show.self,
      Delete.self,
    ])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Makes an account that can log in at once, without a mail.",
      discussion: "The password is asked for, or read as one line from standard input: an argument would show it to everybody.")

    @Argument(help: "3 to 32 of A-Z a-z 0-9 _ . -, a letter or digit first. Names that nobody can register, such as admin, can be given.")
    var username: String

    @Argument(help: "The e-mail address.")
    var email: String

    @Option(help: "user, moderator or admin.")
    var role: Role = .user

    func validate() throws {
      if Username.flawOfShape(username) != nil {
        throw ValidationError("A username has 3 to 32 of A-Z a-z 0-9 _ . -, a letter or digit first.")
      }
      if let flaw = EmailAddress.flaw(in: email) { throw ValidationError(flaw) }
    }

    func run() throws {
      let hash = try NewPassword.hash()
      let (username, email, role) = (username, email, role)
      try withDatabase { database in
        guard let id = try await Accounts.create(username, email, hash, role, on: database) else {
          throw Failure("The username or the e-mail address is taken.")
        }
        print("User \(id) created.")
      }
    }
  }

  struct Promote: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Gives a user a role.")

    @OptionGroup var user: UserSelector

    @Option(help: "admin, moderator or user.")
    var role: Role = .admin

    func run() throws {
      try user.moderate(.setRole(role)) { "User \($0) is now \(role.rawValue)." }
    }
  }

  struct Block: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Blocks a user.", discussion: "They cannot log in, every token of theirs is dead at once, what they wrote is hidden.")

    @OptionGroup var user: UserSelector

    @Option(help: "For the audit log.")
    var reason: String?

    func run() throws {
      try user.moderate(.block, because: reason) { "User \($0) blocked." }
    }
  }

  struct Unblock: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Takes a block back; everything is as it was before.")

    @OptionGroup var user: UserSelector

    func run() throws {
      try user.moderate(.unblock) { "User \($0) unblocked." }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Takes a user's e-mail address for confirmed, without a mail.")

    @OptionGroup var user: UserSelector

    func run() throws {
      try user.withAccount { account, database in
        try await Accounts.verify(account.id, on: database)
        print("User \(account.id) verified.")
      }
    }
  }

  struct Password: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Sets a user's password, for somebody who cannot get mail. Every session of theirs ends.",
      discussion: "The password is asked for, or read as one line from standard input: an argument would show it to everybody.")

    @OptionGroup var user: UserSelector

    func run() throws {
      let hash = try NewPassword.hash()
      try user.withAccount { account, database in
        try await Accounts.setPassword(hash, of: account, on: database)
        print("The password of user \(account.id) is set.")
      }
    }
  }

  struct Logout: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Ends every session of a user; they can log in again.")

    @OptionGroup var user: UserSelector

    func run() throws {
      try user.withAccount { account, database in
        let count = try await Accounts.endSessions(of: account.id, on: database)
        print("\(count) session\(count == 1 ? "" : "s") of user \(account.id) ended.")
      }
    }
  }

  struct Unlock: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lets a user log in again who is locked after too many failed logins, before the time is over.")

    @OptionGroup var user: UserSelector

    func run() throws {
      try user.withAccount { account, database in
        try await Accounts.unlock(account, on: database)
        print("User \(account.id) unlocked.")
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows an account.")

    @OptionGroup var user: UserSelector

    func run() throws {
      try user.withAccount { account, _ in print(account.description) }
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Deletes an account with its posts, comments, likes, subscriptions and images, as its owner can.",
      discussion: """
        Nothing brings it back. Everything is hidden at once, and removed soon after by chatty-worker, however much it is. The e-mail \
        address is free afterwards; the username is not given out again for 90 days.
        """)

    @OptionGroup var user: UserSelector

    func run() throws {
      try user.withAccount { account, database in
        guard try await Accounts.delete(account.id, on: database) else { throw Failure("There is no such user any longer.") }
        print("User \(account.id) deleted.")
      }
    }
  }
}

/// A password that somebody types, or pipes in.
private enum NewPassword {
  /// - Returns: its hash, at the cost that is set.
  static func hash() throws -> String {
    let cost = operatorSettings().passwordCost
    let password = isatty(STDIN_FILENO) == 1 ? getpass("Password: ").map { String(cString: $0) } : readLine()
    guard let password, (8...PasswordHasher.maximumBytes).contains(PasswordHasher.bytes(of: password)), !password.utf8.contains(0) else {
      throw Failure("A password has 8 to \(PasswordHasher.maximumBytes) bytes.")
    }
    return try PasswordHasher(cost: cost).hash(password)
  }
}

/// Which user a command is about. A number alone could be an id or a name that somebody has chosen to be taken for one, so an id
/// is asked for as such.
struct UserSelector: ParsableArguments {
  @Argument(help: "The username or e-mail address.")
  var user: String?

  @Option(help: "The user's id, instead.")
  var id: Int64?

  func validate() throws {
    if (user == nil) == (id == nil) { throw ValidationError("Name one user: by username or e-mail address, or with --id.") }
  }

  func withAccount(_ work: @escaping @Worker @Sendable (Account, PostgresClient) async throws -> Void) throws {
    let (user, id) = (user, id)
    try withDatabase { database in
      guard let account = try await Accounts.find(user, id: id, on: database) else { throw Failure("There is no such user.") }
      try await work(account, database)
    }
  }

  /// Moderation by an operator is recorded and carried out as an administrator's is.
  func moderate(_ action: Moderation, because reason: String? = nil, done: @escaping @Sendable (Int64) -> String) throws {
    try withAccount { account, database in
      guard try await Accounts.moderate(account.id, action, because: reason, on: database) == "applied" else {
        throw Failure("There is no such user any longer.")
      }
      print(done(account.id))
    }
  }
}

extension Role: ExpressibleByArgument {}
