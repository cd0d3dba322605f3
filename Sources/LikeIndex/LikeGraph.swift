// Who likes what, as an index file has it: lists of numbers in a mapped file that has been verified.

/// The likes of one snapshot.
///
/// Users and posts have numbers from 0: users by the number of their likes and then by id, posts by id.
public struct LikeGraph: Sendable {
  public let header: IndexHeader
  /// Tells this index from one that has been put in its place.
  public let identity: FileIdentity

  private let userIDs: Section<Int64>
  private let postIDs: Section<Int64>
  private let authors: Section<Int64>
  private let sizes: Section<UInt32>
  private let firstUsers: Section<UInt32>
  private let firstEntries: Section<UInt32>
  private let postStarts: Section<UInt32>
  private let popular: Section<UInt32>
  let userLists: Section<UInt32>
  let postLists: Section<UInt32>

  /// Of a file that `IndexVerifier` has gone through: what is in it is believed here.
  init(_ file: MappedFile, _ header: IndexHeader) {
    let layout = header.layout
    self.header = header
    identity = file.identity
    userIDs = file.section(of: Int64.self, at: layout.userIDs, count: header.users)
    postIDs = file.section(of: Int64.self, at: layout.postIDs, count: header.posts)
    authors = file.section(of: Int64.self, at: layout.authors, count: header.posts)
    sizes = file.section(of: UInt32.self, at: layout.sizes, count: header.sizes)
    firstUsers = file.section(of: UInt32.self, at: layout.firstUsers, count: header.sizes + 1)
    firstEntries = file.section(of: UInt32.self, at: layout.firstEntries, count: header.sizes)
    postStarts = file.section(of: UInt32.self, at: layout.postStarts, count: header.posts + 1)
    popular = file.section(of: UInt32.self, at: layout.popular, count: header.popular)
    userLists = file.section(of: UInt32.self, at: layout.userLists, count: header.likes)
    postLists = file.section(of: UInt32.self, at: layout.postLists, count: header.likes)
  }

  @inline(__always)
  public func id(ofUser user: Int) -> Int64 { userIDs[user] }

  @inline(__always)
  public func id(ofPost post: Int) -> Int64 { postIDs[post] }

  /// Where in `userLists` the posts are that a user likes, ascending.
  func list(ofUser user: Int) -> Range<Int> {
    let index = Self.partition(header.sizes) { firstUsers[$0 + 1] > UInt32(user) }
    let start = Int(firstEntries[index]) + (user - Int(firstUsers[index])) * Int(sizes[index])
    return start..<start + Int(sizes[index])
  }

  /// Where in `postLists` the users are who like a post, ascending.
  @inline(__always)
  func list(ofPost post: Int) -> Range<Int> { Int(postStarts[post])..<Int(postStarts[post + 1]) }

  /// Calls `body` with each number of likes that users in a range have, ascending, and the users who have it.
  ///
  /// - Parameter body: returns whether to go on.
  @inline(__always)
  func forEachSize(in users: Range<Int>, _ body: (_ total: Int, _ users: Range<Int>) -> Bool) {
    var index = Self.partition(header.sizes) { Int(firstUsers[$0 + 1]) > users.lowerBound }
    while index < header.sizes, Int(firstUsers[index]) < users.upperBound {
      let part = (Int(firstUsers[index])..<Int(firstUsers[index + 1])).clamped(to: users)
      if !body(Int(sizes[index]), part) { return }
      index += 1
    }
  }

  /// The number of the first user who likes `count` posts or more; the number of users if none does.
  func firstUser(withLikes count: Double) -> Int { Int(firstUsers[Self.partition(header.sizes) { Double(sizes[$0]) >= count }]) }

  /// The number of a post; nil if the index does not have it.
  func number(ofPost id: Int64) -> Int? {
    let number = Self.partition(header.posts) { postIDs[$0] >= id }
    return number < header.posts && postIDs[number] == id ? number : nil
  }

  /// The part of a post's list with users of these numbers.
  func list(ofPost post: Int, users: Range<Int>) -> Range<Int> {
    let list = list(ofPost: post)
    if users.lowerBound == 0, users.upperBound == header.users { return list }
    let from = list.lowerBound + Self.partition(list.count) { postLists[list.lowerBound + $0] >= UInt32(users.lowerBound) }
    let rest = from..<list.upperBound
    return from..<from + Self.partition(rest.count) { postLists[rest.lowerBound + $0] >= UInt32(users.upperBound) }
  }

  /// The posts that one user likes, by id.
  public func posts(likedBy user: Int) -> [Int64] {
    userLists.withSpan(list(ofUser: user)) { list in list.indices.map { id(ofPost: Int(list[$0])) } }
  }

  /// Posts that were liked most in the week before the snapshot, then at all, of equals the newest first. Hidden posts are not among
  /// them, as far as the snapshot knew.
  ///
  /// - Parameters:
  ///   - reader: whose own posts are left out.
  ///   - liked: ids of further posts to leave out.
  ///   - limit: ids at most.
  public func popularPosts(for reader: Int64, besides liked: [Int64], limit: Int) -> [Int64] {
    let liked = Set(liked)
    var found: [Int64] = []
    for place in 0..<popular.count {
      if found.count == limit { break }
      let post = Int(popular[place])
      if authors[post] != reader, !liked.contains(postIDs[post]) { found.append(postIDs[post]) }
    }
    return found
  }

  /// The least number below `count` for which `isBeyond` holds, `count` if it holds for none; once it holds it holds for all that follow.
  private static func partition(_ count: Int, _ isBeyond: (Int) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isBeyond(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
