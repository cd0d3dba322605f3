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
//       48  UInt64   popular: posts in the order of their popularity
//       56  Int64    when the snapshot was taken, in microseconds since 1970
//       64  UInt64   how long building took, in microseconds, until the file was written
//       72  UInt64   the snapshot: its xmin, …
//       80  UInt64   … its xmax (pg_current_snapshot), …
//       88  UInt64   … and the position in the write-ahead log (pg_lsn)
//       96  UInt64   rows of the table of likes in the snapshot
//      104  UInt64   the checksum of everything after the header
//      112  UInt64   zero
//      120  UInt64   the checksum of the header before it
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

    public init(xmin: UInt64, xmax: UInt64, walPosition: UInt64, takenAt: Int64) {
      self.xmin = xmin
      self.xmax = xmax
      self.walPosition = walPosition
      self.takenAt = takenAt
    }
  }

  public static let version: UInt64 = 1
  static let size = 128
  private static let magic = UInt64(bigEndian: 0x4368_4C69_6B65_4978)

  public internal(set) var users: Int
  public internal(set) var posts: Int
  public internal(set) var likes: Int
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
    var words = [
      Self.magic, Self.version, UInt64(fileSize), UInt64(users), UInt64(posts), UInt64(likes), UInt64(popular),
      UInt64(bitPattern: snapshot.takenAt), UInt64(buildTime), snapshot.xmin, snapshot.xmax, snapshot.walPosition, UInt64(rows), checksum,
      0,
    ]
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
    guard words[15] == Self.checksum(words[..<15]) else { throw IndexError(.corrupt, "the checksum of its header is wrong") }
    // Within what the format can hold nothing below overflows.
    guard words[3...6].allSatisfy({ $0 <= UInt64(UInt32.max) }), words[8] <= UInt64(Int64.max), words[12] <= UInt64(Int64.max) else {
      throw IndexError(.corrupt, "its header says what cannot be")
    }
    users = Int(words[3])
    posts = Int(words[4])
    likes = Int(words[5])
    popular = Int(words[6])
    snapshot = Snapshot(xmin: words[9], xmax: words[10], walPosition: words[11], takenAt: Int64(bitPattern: words[7]))
    buildTime = Int(words[8])
    rows = Int(words[12])
    checksum = words[13]
    guard words[2] == UInt64(fileSize) else { throw IndexError(.corrupt, "its header says what cannot be") }
    guard actualSize == fileSize else { throw IndexError(.cut, "it has \(actualSize) bytes where there should be \(fileSize)") }
  }

  init(users: Int, posts: Int, likes: Int, popular: Int, snapshot: Snapshot, rows: Int) {
    self.users = users
    self.posts = posts
    self.likes = likes
    self.popular = popular
    self.snapshot = snapshot
    self.rows = rows
    buildTime = 0
  }
}

/// The byte offsets of the sections. Wider numbers come first, so that all are aligned.
struct Layout: Equatable, Sendable {
  /// Int64 a user: ids, by the number of likes and then by id. The place of a user here is their number in the lists.
  let userIDs: Int
  /// Int64 a post: ids, ascending. The place of a post here is its number in the lists.
  let postIDs: Int
  /// Int64 a post: its author, 0 if it is hidden.
  let authors: Int
  /// UInt32 a user and one more: where in `userLists` each user's list begins, and the last ends.
  let userStarts: Int
  /// The same of posts and `postLists`.
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
    userStarts = authors + 8 * header.posts
    postStarts = userStarts + 4 * (header.users + 1)
    popular = postStarts + 4 * (header.posts + 1)
    userLists = popular + 4 * header.popular
    postLists = userLists + 4 * header.likes
    end = postLists + 4 * header.likes
  }
}
