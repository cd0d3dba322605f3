// From a stream of likes to an index file, with memory for the users and posts but not for the likes.
//
// The likes go to a nameless file beside the index first, as pairs of numbers in the order in which they come; only when all have come
// is it known how long each list is, and so where it belongs. Then the lists are made by three counting sorts: the pairs by user, those
// by post, which leaves the users of each post ascending, and those by user again, which leaves the posts of each user ascending. A
// sort goes through its source once for each block of the result that it has memory for.

import Glibc

/// Builds an index: first its users, then its likes, then what is popular, then `finish`.
///
/// Takes 8 bytes a like on disk for the file and as many until it is written. In memory it takes about 40 bytes a user or post, and
/// two buffers of fixed size.
public final class IndexBuilder {
  /// Entries of the result that a sort makes at a time.
  private let blockSize: Int
  private static let chunk = 1 << 17

  private let path: String
  private var users = IDTable()
  private var posts = IDTable()
  private var likesOfUser: [UInt32] = []
  private var likesOfPost: [UInt32] = []
  /// Likes of everybody, for what is popular.
  private var rowsOfPost: [UInt32] = []
  private var recentRowsOfPost: [UInt32] = []
  private var authors: [Int64] = []
  private var rows = 0
  private var likes = 0
  private let started = ContinuousClock.now

  private let spool: WritableFile
  private var pending: [UInt64] = []
  private var spooled = 0

  /// - Parameters:
  ///   - path: where the index is to be. Beside it, in the same folder, it is made.
  ///   - blockSize: entries of a list that are held in memory at a time, 4 bytes each.
  public init(path: String, blockSize: Int = 1 << 23) throws(IndexError) {
    self.path = path
    self.blockSize = blockSize
    let name = "\(path).likes"
    spool = try WritableFile(creating: name)
    WritableFile.remove(name)
    pending.reserveCapacity(Self.chunk)
  }

  /// An active user: the likes of others do not count for neighbours.
  public func add(user id: Int64) {
    if users.add(id) == likesOfUser.count { likesOfUser.append(0) }
  }

  /// A like; each may be added once.
  public func add(likeBy user: Int64, of post: Int64) throws(IndexError) {
    rows += 1
    let post = posts.add(post)
    if post == likesOfPost.count {
      likesOfPost.append(0)
      rowsOfPost.append(0)
    }
    rowsOfPost[post] += 1
    guard let user = users.number(of: user) else { return }
    likesOfUser[user] += 1
    likesOfPost[post] += 1
    likes += 1
    pending.append(UInt64(user) << 32 | UInt64(post))
    if pending.count == Self.chunk { try flush() }
  }

  /// How many likes a post got in the week before the snapshot.
  public func add(recentLikes count: Int64, of post: Int64) {
    guard let post = posts.number(of: post) else { return }
    if recentRowsOfPost.isEmpty { recentRowsOfPost = [UInt32](repeating: 0, count: posts.count) }
    recentRowsOfPost[post] = UInt32(clamping: count)
  }

  /// A post that is not hidden, and who wrote it. One that nobody likes is passed over.
  public func add(visiblePost post: Int64, by author: Int64) {
    guard let post = posts.number(of: post) else { return }
    if authors.isEmpty { authors = [Int64](repeating: 0, count: posts.count) }
    authors[post] = author
  }

  private func flush() throws(IndexError) {
    try spool.write(pending[...], at: 8 * spooled)
    spooled += pending.count
    pending.removeAll(keepingCapacity: true)
  }

  /// Writes the index beside the one in use and puts it in its place. Whoever has mapped the old one still has it.
  ///
  /// - Throws: `tooLarge` for more than 2³² − 1 likes, or `system`. The index in use stays then.
  public func finish(_ snapshot: IndexHeader.Snapshot) throws(IndexError) -> IndexHeader {
    guard likes <= Int(UInt32.max), posts.count <= Int(UInt32.max) else {
      throw IndexError(.tooLarge, "\(likes) likes of \(posts.count) posts are more than an index can hold")
    }
    try flush()
    let userOrder = (0..<users.count).filter { likesOfUser[$0] > 0 }
      .sorted { (likesOfUser[$0], users.ids[$0]) < (likesOfUser[$1], users.ids[$1]) }
    let postOrder = (0..<posts.count).sorted { posts.ids[$0] < posts.ids[$1] }
    let popular = popularPosts(postOrder)

    let sizes = Sizes(userOrder.map { likesOfUser[$0] })

    var header = IndexHeader(
      users: userOrder.count, posts: postOrder.count, likes: likes, sizes: sizes.sizes.count, popular: popular.count, snapshot: snapshot,
      rows: rows)
    let unfinished = "\(path).unfinished"
    let file = try WritableFile(creating: unfinished)
    do throws(IndexError) {
      let layout = header.layout
      let userStarts = Self.starts(userOrder.map { likesOfUser[$0] })
      let postStarts = Self.starts(postOrder.map { likesOfPost[$0] })
      try file.write(userOrder.map { users.ids[$0] }[...], at: layout.userIDs)
      try file.write(postOrder.map { posts.ids[$0] }[...], at: layout.postIDs)
      try file.write(postOrder.map { authors.isEmpty ? 0 : authors[$0] }[...], at: layout.authors)
      try file.write(sizes.sizes[...], at: layout.sizes)
      try file.write(sizes.firstUsers[...], at: layout.firstUsers)
      try file.write(sizes.firstEntries[...], at: layout.firstEntries)
      try file.write(postStarts[...], at: layout.postStarts)
      try file.write(popular[...], at: layout.popular)

      let userNumbers = Self.inverse(userOrder, count: users.count)
      let postNumbers = Self.inverse(postOrder, count: posts.count)
      try sort(into: file, at: layout.userLists, starts: userStarts) { take throws(IndexError) in
        try forEachSpooled { user, post in take(userNumbers[user], postNumbers[post]) }
      }
      try sort(into: file, at: layout.postLists, starts: postStarts) { take throws(IndexError) in
        try Self.forEach(of: file, at: layout.userLists, starts: userStarts) { user, post in take(post, user) }
      }
      try sort(into: file, at: layout.userLists, starts: userStarts) { take throws(IndexError) in
        try Self.forEach(of: file, at: layout.postLists, starts: postStarts) { post, user in take(user, post) }
      }
      header.checksum = try Self.checksum(of: file, to: layout.end)
      header.buildTime = Int((ContinuousClock.now - started) / .microseconds(1))
      try file.write(header.words[...], at: 0)
      try file.synchronize()
      try WritableFile.replace(path, with: unfinished)
    } catch {
      WritableFile.remove(unfinished)
      throw error
    }
    return header
  }

  /// The posts that are not hidden, by likes in the last week, then by all likes, then newest first, as numbers of the index.
  private func popularPosts(_ postOrder: [Int]) -> [UInt32] {
    guard !authors.isEmpty else { return [] }
    let recent = recentRowsOfPost.isEmpty ? [UInt32](repeating: 0, count: posts.count) : recentRowsOfPost
    return postOrder.indices.filter { authors[postOrder[$0]] != 0 }
      .sorted { a, b in
        let (first, second) = (postOrder[a], postOrder[b])
        // By all likes only where neither was liked in the week: within it, of equals the newest comes first.
        if recent[first] != recent[second] { return recent[first] > recent[second] }
        if recent[first] == 0, rowsOfPost[first] != rowsOfPost[second] { return rowsOfPost[first] > rowsOfPost[second] }
        return a > b
      }
      .map { UInt32($0) }
  }

  /// Where the lists of these lengths begin, one after the other, and where the last ends.
  private static func starts(_ lengths: [UInt32]) -> [UInt32] {
    var starts: [UInt32] = [0]
    starts.reserveCapacity(lengths.count + 1)
    for length in lengths { starts.append(starts[starts.count - 1] + length) }
    return starts
  }

  /// The place of each number in `order`.
  private static func inverse(_ order: [Int], count: Int) -> [Int] {
    var places = [Int](repeating: 0, count: count)
    for (place, number) in order.enumerated() { places[number] = place }
    return places
  }

  // MARK: Sorting

  /// Writes lists, as many at a time as make a block; one that is longer is a block by itself.
  ///
  /// - Parameters:
  ///   - starts: where each list begins, and the last ends.
  ///   - source: calls what it is given with the number of a list and what comes next in it, for all of them.
  private func sort(
    into file: borrowing WritableFile, at offset: Int, starts: [UInt32],
    from source: ((_ list: Int, _ entry: Int) -> Void) throws(IndexError) -> Void
  ) throws(IndexError) {
    var first = 0
    while first + 1 < starts.count {
      var last = first + 1
      let begin = Int(starts[first])
      while last + 1 < starts.count, Int(starts[last + 1]) - begin <= blockSize { last += 1 }
      var block = [UInt32](repeating: 0, count: Int(starts[last]) - begin)
      var next = starts[first..<last].map { Int($0) - begin }
      let lists = first..<last
      try source { list, entry in
        guard lists.contains(list) else { return }
        let place = next[list - lists.lowerBound]
        block[place] = UInt32(truncatingIfNeeded: entry)
        next[list - lists.lowerBound] = place + 1
      }
      try file.write(block[...], at: offset + 4 * begin)
      first = last
    }
  }

  private func forEachSpooled(_ body: (_ user: Int, _ post: Int) -> Void) throws(IndexError) {
    var chunk = [UInt64](repeating: 0, count: Self.chunk)
    var read = 0
    while read < spooled {
      let count = try spool.read(&chunk, at: 8 * read)
      guard count > 0 else { throw IndexError(.system, "the likes that were put aside have gone") }
      for pair in chunk[..<count] { body(Int(pair >> 32), Int(pair & 0xFFFF_FFFF)) }
      read += count
    }
  }

  /// Calls `body` with each entry of the lists, list by list.
  private static func forEach(
    of file: borrowing WritableFile, at offset: Int, starts: [UInt32], _ body: (_ list: Int, _ entry: Int) -> Void
  ) throws(IndexError) {
    let end = Int(starts[starts.count - 1])
    var chunk = [UInt32](repeating: 0, count: Self.chunk)
    var (read, list) = (0, 0)
    while read < end {
      let count = min(try file.read(&chunk, at: offset + 4 * read), end - read)
      guard count > 0 else { throw IndexError(.system, "what was written has gone") }
      for index in 0..<count {
        while Int(starts[list + 1]) <= read + index { list += 1 }
        body(list, Int(chunk[index]))
      }
      read += count
    }
  }

  private static func checksum(of file: borrowing WritableFile, to end: Int) throws(IndexError) -> UInt64 {
    var hash = XXHash64()
    var chunk = [UInt32](repeating: 0, count: Self.chunk)
    var offset = IndexHeader.size
    while offset < end {
      let count = try file.read(&chunk, at: offset)
      guard count > 0 else { throw IndexError(.system, "what was written has gone") }
      hash.update(chunk.span.extracting(0..<count))
      offset += 4 * count
    }
    return hash.digest
  }
}

/// The table of how many likes users have.
private struct Sizes {
  private(set) var sizes: [UInt32] = []
  private(set) var firstUsers: [UInt32] = []
  private(set) var firstEntries: [UInt32] = []

  /// - Parameter lengths: of the users' lists, ascending.
  init(_ lengths: [UInt32]) {
    var entries: UInt32 = 0
    for (user, length) in lengths.enumerated() {
      if length != sizes.last {
        sizes.append(length)
        firstUsers.append(UInt32(user))
        firstEntries.append(entries)
      }
      entries += length
    }
    firstUsers.append(UInt32(lengths.count))
  }
}
