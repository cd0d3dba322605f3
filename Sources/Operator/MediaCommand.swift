// `chatty media`: whether the files of images and the rows of posts belong together.

import ArgumentParser
import EventLoop
import Media
import Postgres

struct MediaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "media", abstract: "The files of images.", subcommands: [Check.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Finds files that no post has, and posts whose files are not there.",
      discussion: """
        Files that are younger than an hour are left out: their post may be about to be written. What the outbox is to remove is \
        left out too. It ends with status 1 if it has found something that it has not removed.
        """)

    @Flag(help: "Remove the files that no post has.")
    var remove = false

    func run() throws {
      let remove = remove
      let store = MediaStore(home: operatorSettings().home)
      try withDatabase(statementTimeout: .seconds(600)) { database in
        guard let entries = store.entries() else { throw Failure("\(store.folder) cannot be read.") }
        var orphans = 0
        for orphan in try await MediaCheck.orphans(of: entries, in: store, on: database) {
          let isRemoved = remove && store.removeFile(orphan.path)
          print("no post has \(orphan.path)\(isRemoved ? ": removed" : "")")
          if !isRemoved { orphans += 1 }
        }
        var incomplete = 0
        for post in try await MediaCheck.posts(without: store, on: database) {
          print("post \(post.id) has no files \(post.key)")
          incomplete += 1
        }
        print("\(entries.count) files, \(orphans) without a post, \(incomplete) posts without files.")
        if orphans + incomplete > 0 { throw ExitCode.failure }
      }
    }
  }
}

@Worker
private enum MediaCheck {
  /// Older than this a file has had its chance to become a post's, in seconds.
  private static let age = 3600
  private static let batch = 1000

  /// The files of `entries` that nothing in the database knows of, and that are still there.
  static func orphans(
    of entries: [MediaStore.Entry], in store: MediaStore, on database: PostgresClient
  ) async throws -> [MediaStore.Entry] {
    let old = entries.filter { $0.age > age }
    var orphans = old.filter { $0.key == nil }
    let named = old.filter { $0.key != nil }
    for start in stride(from: 0, to: named.count, by: batch) {
      let some = named[start..<min(start + batch, named.count)]
      let keys = some.compactMap { $0.key?.description }.joined(separator: " ")
      let known = try await database.read(
        """
        SELECT k FROM unnest(string_to_array(\(keys), ' ')) k
        WHERE EXISTS (SELECT FROM posts p WHERE p.image_key = k) OR EXISTS (SELECT FROM pending_media m WHERE m.image_key = k)
          OR EXISTS (SELECT FROM media_to_remove r WHERE r.image_key = k)
        """, as: String.self)
      let names = Set(known)
      orphans += some.filter { entry in entry.key.map { !names.contains($0.description) } ?? true }
    }
    // What has gone since the store was read had its row then.
    return orphans.filter { store.contains($0.path) }
  }

  /// The posts of whose image a file is missing.
  static func posts(without store: MediaStore, on database: PostgresClient) async throws -> [IllustratedPost] {
    var missing: [IllustratedPost] = []
    var last = ""
    while true {
      let posts = try await database.read(
        "SELECT id, image_key FROM posts WHERE image_key > \(last) ORDER BY image_key LIMIT \(batch)", as: IllustratedPost.self)
      missing += posts.filter { post in ImageKey(post.key).map { !store.isComplete($0) } ?? true }
      guard let end = posts.last else { return missing }
      last = end.key
    }
  }
}

private struct IllustratedPost: RowDecodable {
  let id: Int64
  let key: String

  init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    key = try row.next()
  }
}
