// `chatty outbox`: what has not left yet.

import ArgumentParser
import EventLoop
import Postgres

struct OutboxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "outbox", abstract: "Mail and the like that is waiting to leave.", subcommands: [List.self, Retry.self, Drop.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists what is waiting and what was given up, oldest first.",
      discussion: "What a mail says is not shown: it holds a secret link.")

    @Flag(help: "Only what was given up.")
    var dead = false

    @Option(help: "How many at most.")
    var limit: Int = 100

    func run() throws {
      let (dead, limit) = (dead, max(limit, 0))
      try withDatabase { database in
        let items = try await OutboxItem.list(deadOnly: dead, limit: limit, on: database)
        for item in items { print(item.line) }
        if items.isEmpty { print("Nothing is waiting.") }
      }
    }
  }

  struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Has rows of the outbox tried again at once, those that were given up too.",
      discussion: "What is under way is left alone: it would be sent twice.")

    @OptionGroup var rows: OutboxSelector

    func run() throws {
      try rows.each(OutboxItem.retry, done: "to be tried again", missing: "Under way, or not in the outbox")
    }
  }

  struct Drop: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Removes rows of the outbox that were given up: they are never sent.",
      discussion: "What still waits for its next attempt is left alone.")

    @OptionGroup var rows: OutboxSelector

    func run() throws {
      try rows.each(OutboxItem.drop, done: "removed", missing: "Not given up")
    }
  }
}

/// Which rows of the outbox a command is about.
struct OutboxSelector: ParsableArguments {
  @Argument(help: "The numbers of the rows, as `chatty outbox list` shows them.")
  var ids: [Int64] = []

  @Flag(help: "All that were given up.")
  var dead = false

  func validate() throws {
    if ids.isEmpty != dead { throw ValidationError("Give the numbers of rows, or --dead.") }
  }

  /// - Parameter action: gets the numbers, and whether all that were given up are meant; gives those that it was done to.
  func each(
    _ action: @escaping @Worker @Sendable ([Int64], Bool, PostgresClient) async throws -> [Int64], done: String, missing: String
  ) throws {
    let (ids, dead) = (ids, dead)
    try withDatabase { database in
      let found = try await action(ids, dead, database)
      print("\(found.count) \(done).")
      let others = ids.filter { !found.contains($0) }
      if !others.isEmpty { throw Failure("\(missing): \(others.map(String.init).joined(separator: ", ")).") }
    }
  }
}

/// A row of the outbox without its payload.
struct OutboxItem: RowDecodable {
  let id: Int64
  let kind: String
  let createdAt: Timestamp
  let attempts: Int64
  let nextAttemptAt: Timestamp
  let isUnderWay: Bool
  let deadAt: Timestamp?
  let lastError: String?

  init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    kind = try row.next()
    createdAt = try row.next()
    attempts = try row.next()
    nextAttemptAt = try row.next()
    isUnderWay = try row.next()
    deadAt = try row.next()
    lastError = try row.next()
  }

  var line: String {
    let state = deadAt.map { "given up \($0)" } ?? (isUnderWay ? "under way" : "next attempt \(nextAttemptAt)")
    return "\(id)  \(kind)  created \(createdAt)  attempts \(attempts)  \(state)\(lastError.map { "  \($0)" } ?? "")"
  }

  /// Somebody has claimed it, and may have it in hand still.
  private static let isUnderWay: Query = "(claim IS NOT NULL AND next_attempt_at > now())"

  @Worker
  static func list(deadOnly: Bool, limit: Int, on database: PostgresClient) async throws(PostgresError) -> [OutboxItem] {
    try await database.read(
      """
      SELECT id, kind, created_at, attempts, next_attempt_at, \(isUnderWay), dead_at, last_error
      FROM outbox
      WHERE NOT \(deadOnly) OR dead_at IS NOT NULL
      ORDER BY id
      LIMIT \(limit)
      """, as: OutboxItem.self)
  }

  /// The poll of chatty-worker finds them, within seconds.
  @Worker
  static func retry(_ ids: [Int64], allDead: Bool, on database: PostgresClient) async throws(PostgresError) -> [Int64] {
    try await database.write(
      """
      UPDATE outbox SET dead_at = NULL, attempts = 0, next_attempt_at = now()
      WHERE (id = ANY (\(IDList(ids))) OR (\(allDead) AND dead_at IS NOT NULL)) AND NOT \(isUnderWay)
      RETURNING id
      """, as: Int64.self)
  }

  @Worker
  static func drop(_ ids: [Int64], allDead: Bool, on database: PostgresClient) async throws(PostgresError) -> [Int64] {
    try await database.write(
      "DELETE FROM outbox WHERE dead_at IS NOT NULL AND (\(allDead) OR id = ANY (\(IDList(ids)))) RETURNING id", as: Int64.self)
  }
}
