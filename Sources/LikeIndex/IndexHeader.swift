// What an index file begins with, and where in it everything is.
//
// All numbers are in the byte order of the machine; on one of the other order the version is another number, and the file refused.
//
//   offset  type     field
//        0  UInt64   magic, "ChLikeIx" in ASCII
//        8  UInt64   version of the format
//       16  UInt64   bytes of the file
//       24  UInt64   users: active ones who like something
//       32  UInt64   posts: those that somebody likes, active or not
//       40  UInt64   likes: those by the users above
//       48  UInt64   sizes: different numbers of likes that a user has
//       56  UInt64   popular: posts in the order of their popularity
//       64  UInt64   rows of the table of likes in the snapshot
//       72  UInt64   how long building took, in microseconds, until the file was written
//       80  UInt64   the snapshot: its xmin, …
//       88  UInt64   … its xmax (pg_current_snapshot), …
//       96  UInt64   … the position in the write-ahead log (pg_lsn), …
//      104  Int64    … when it was taken, in microseconds since 1970, …
//      112  Int64    … and the changes that the database had counted: their difference to those of a later moment says how old it is
//      120  UInt64   the checksum of everything after the header
//      128  UInt64   the checksum of the header before it
//
// The sections follow without gaps, in the order of `Layout`.

/// What is known of an index without reading its lists.
public struct IndexHeader: Equatable, Sendable {
  /// Where in the database's history the likes were read.
  public struct Snapshot: Equatable, Sendable {
    /// Transactions before this one had ended (`pg_snapshot_xmin`).
    public var xmin: UInt64
    /// Transactions from this one on had not begun (`pg_snapshot_xmax`).
    public var xmax: UInt64
    /// The position in the write-ahead log (`pg_lsn`).
    public var walPosition: UInt64
    /// Microseconds since 1970-01-01T00:00:00Z, by the database's clock.
    public var takenAt: Int64
    /// Changes of likes and users that the database had counted; the number means something only beside a later one.
    public var changes: Int64

    public init(xmin: UInt64, xmax: UInt64, walPosition: UInt64, takenAt: Int64, changes: Int64) {
      self.xmin = xmin
      self.xmax = xmax
      self.walPosition = walPosition
      self.takenAt = takenAt
      self.changes = changes
    }
  }

  public static let version: UInt64 = 1
  static let size = 136
  private static let magic = UInt64(bigEndian: 0x4368_4C69_6B65_4978)

  public internal(set) var users: Int
  public internal(set) var posts: Int
  public internal(set) var likes: Int
  var sizes: Int
  public internal(set) var popular: Int
  public internal(set) var snapshot: Snapshot
  /// Microseconds from the first row to the written file.
  public internal(set) var buildTime: Int
  /// Rows of the table of likes; more than `likes` by those of users who are not active.
  public internal(set) var rows: Int
  var checksum: UInt64 = 0

  /// Bytes of the whole file.
  public var fileSize: Int { layout.end }
  var layout: Layout { Layout(self) }

  var words: [UInt64] {
    var words = [Self.magic, Self.version]
    words += [fileSize, users, posts, likes, sizes, popular, rows, buildTime].map { UInt64($0) }
    words += [snapshot.xmin, snapshot.xmax, snapshot.walPosition]
    words += [UInt64(bitPattern: snapshot.takenAt), UInt64(bitPattern: snapshot.changes), checksum]
    words.append(Self.checksum(words[...]))
    return words
  }

  private static func checksum(_ words: ArraySlice<UInt64>) -> UInt64 {
    var hash = XXHash64()
    hash.update(words.flatMap { [UInt32(truncatingIfNeeded: $0), UInt32(truncatingIfNeeded: $0 >> 32)] }.span)
    return hash.digest
  }

  /// - Parameters:
  ///   - words: the first `size` bytes of the file, fewer if it has not so many.
  ///   - actualSize: bytes that the file has.
  /// - Throws: an error of the kinds `foreign`, `version`, `cut` or `corrupt`.
  init(words: [UInt64], actualSize: Int) throws(IndexError) {
    guard let magic = words.first, magic == Self.magic else { throw IndexError(.foreign, "it is not an index of likes") }
    guard words.count >= 2 else { throw IndexError(.cut, "it ends within its header") }
    guard words[1] == Self.version else {
      throw IndexError(.version, "it is of version \(words[1]) of the format, and this program reads version \(Self.version)")
    }
    guard words.count == Self.size / 8 else { throw IndexError(.cut, "it ends within its header") }
    guard words[16] == Self.checksum(words[..<16]) else { throw IndexError(.corrupt, "the checksum of its header is wrong") }
    // Within what the format can hold nothing below overflows.
    guard words[3...7].allSatisfy({ $0 <= UInt64(UInt32.max) }), words[8...9].allSatisfy({ $0 <= UInt64(Int64.max) }) else {
      throw IndexError(.corrupt, "its header says what cannot be")
    }
    users = Int(words[3])
    posts = Int(words[4])
    likes = Int(words[5])
    sizes = Int(words[6])
    popular = Int(words[7])
    rows = Int(words[8])
    buildTime = Int(words[9])
    snapshot = Snapshot(
      xmin: words[10], xmax: words[11], walPosition: words[12], takenAt: Int64(bitPattern: words[13]), changes: Int64(bitPattern: words[14])
    )
    checksum = words[15]
    guard words[2] == UInt64(fileSize) else { throw IndexError(.corrupt, "its header says what cannot be") }
    guard actualSize == fileSize else { throw IndexError(.cut, "it has \(actualSize) bytes where there should be \(fileSize)") }
  }

  init(users: Int, posts: Int, likes: Int, sizes: Int, popular: Int, snapshot: Snapshot, rows: Int) {
    self.users = users
    self.posts = posts
    self.likes = likes
    self.sizes = sizes
    self.popular = popular
    self.snapshot = snapshot
    self.rows = rows
    buildTime = 0
  }
}

/// The byte offsets of the sections. Wider numbers come first, so that all are aligned.
struct Layout: Equatable, Sendable {
  /// Int64 a user: ids, by the number of likes and then by id. The place of a user here is their number in the lists. So users with as
  /// many likes follow each other, and a table of these numbers says where each user's list begins.
  let userIDs: Int
  /// Int64 a post: ids, ascending. The place of a post here is its number in the lists.
  let postIDs: Int
  /// Int64 a post: its author, 0 if it is hidden.
  let authors: Int
  /// UInt32 a size: how many likes, ascending.
  let sizes: Int
  /// UInt32 a size and one more: the first user with so many, and the number of users.
  let firstUsers: Int
  /// UInt32 a size: where in `userLists` the list of that user begins.
  let firstEntries: Int
  /// UInt32 a post and one more: where in `postLists` each post's list begins, and the last ends.
  let postStarts: Int
  /// UInt32 each: numbers of posts that are not hidden, by likes in the week before the snapshot, then by all likes.
  let popular: Int
  /// UInt32 a like: numbers of the posts that each user likes, ascending.
  let userLists: Int
  /// UInt32 a like: numbers of the users who like each post, ascending.
  let postLists: Int
  let end: Int

  init(_ header: IndexHeader) {
    userIDs = IndexHeader.size
    postIDs = userIDs + 8 * header.users
    authors = postIDs + 8 * header.posts
    sizes = authors + 8 * header.posts
    firstUsers = sizes + 4 * header.sizes
    firstEntries = firstUsers + 4 * (header.sizes + 1)
    postStarts = firstEntries + 4 * header.sizes
    popular = postStarts + 4 * (header.posts + 1)
    userLists = popular + 4 * header.popular
    postLists = userLists + 4 * header.likes
    end = postLists + 4 * header.likes
  }
}
