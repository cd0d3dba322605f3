// Whether a file is what a builder wrote: asked once, when it is mapped, in pieces small enough to serve requests in between.

/// Verifies a mapped index step by step.
///
/// Twenty million likes are 160 MB to go through: some tens of milliseconds, too long for requests to wait for, so a worker takes a
/// step a turn and goes on with the index that it has. Afterwards nothing is checked any more: every number in the lists is one of a user
/// or post, and no list reaches beyond its section.
public struct IndexVerifier {
  /// Bytes that a step goes through: a fraction of a millisecond.
  private static let step = 1 << 20

  private let file: MappedFile
  private let header: IndexHeader
  private let words: Section<UInt32>
  private var hash = XXHash64()
  private var offset = IndexHeader.size

  /// Maps a file and reads its header.
  ///
  /// - Throws: `IndexError`: `missing`, `system`, `foreign`, `version`, `cut` or `corrupt`.
  public init(path: String) throws(IndexError) {
    let file = try MappedFile(path: path)
    let head = file.section(of: UInt64.self, at: 0, count: min(file.size, IndexHeader.size) / 8)
    header = try IndexHeader(words: (0..<head.count).map { head[$0] }, actualSize: file.size)
    words = file.section(of: UInt32.self, at: 0, count: file.size / 4)
    self.file = file
  }

  /// The whole of it, at once.
  public static func open(path: String) throws(IndexError) -> LikeGraph {
    var verifier = try IndexVerifier(path: path)
    while true { if let graph = try verifier.next() { return graph } }
  }

  /// The header alone, believed as far as its own checksum goes.
  public static func header(path: String) throws(IndexError) -> IndexHeader { try IndexVerifier(path: path).header }

  /// Takes a step.
  ///
  /// - Returns: the index after the last one.
  public mutating func next() throws(IndexError) -> LikeGraph? {
    let end = min(offset + Self.step, file.size)
    words.withSpan(offset / 4..<end / 4) { hash.update($0) }
    try check(header.layout.userLists..<header.layout.postLists, below: header.posts, within: offset..<end)
    try check(header.layout.postLists..<header.layout.end, below: header.users, within: offset..<end)
    offset = end
    guard offset == file.size else { return nil }
    guard hash.digest == header.checksum else { throw IndexError(.corrupt, "its checksum is wrong") }
    try checkOrder()
    return LikeGraph(file, header)
  }

  /// The numbers of a section, as far as they are within a step.
  private func check(_ section: Range<Int>, below bound: Int, within step: Range<Int>) throws(IndexError) {
    let part = section.clamped(to: step)
    let isWithin = words.withSpan(part.lowerBound / 4..<part.upperBound / 4) { numbers in
      var highest: UInt32 = 0
      for index in numbers.indices { highest = max(highest, numbers[index]) }
      return numbers.isEmpty || Int(highest) < bound
    }
    if !isWithin { throw IndexError(.corrupt, "a list names what is not there") }
  }

  /// What is short enough to be looked at in one go.
  private func checkOrder() throws(IndexError) {
    let layout = header.layout
    let posts = file.section(of: Int64.self, at: layout.postIDs, count: header.posts)
    guard (0..<max(posts.count - 1, 0)).allSatisfy({ posts[$0] < posts[$0 + 1] }) else {
      throw IndexError(.corrupt, "its posts are out of order")
    }
    let popular = file.section(of: UInt32.self, at: layout.popular, count: header.popular)
    guard (0..<popular.count).allSatisfy({ Int(popular[$0]) < header.posts }) else {
      throw IndexError(.corrupt, "a list names what is not there")
    }
    let starts = file.section(of: UInt32.self, at: layout.postStarts, count: header.posts + 1)
    guard starts[0] == 0, Int(starts[header.posts]) == header.likes, (0..<header.posts).allSatisfy({ starts[$0] <= starts[$0 + 1] }) else {
      throw IndexError(.corrupt, "its lists overlap")
    }
    try checkSizes()
  }

  private func checkSizes() throws(IndexError) {
    let layout = header.layout
    let sizes = file.section(of: UInt32.self, at: layout.sizes, count: header.sizes)
    let firstUsers = file.section(of: UInt32.self, at: layout.firstUsers, count: header.sizes + 1)
    let firstEntries = file.section(of: UInt32.self, at: layout.firstEntries, count: header.sizes)
    var (user, entry, size) = (0, 0, 0)
    for index in 0..<header.sizes {
      guard Int(sizes[index]) > size, Int(firstUsers[index]) == user, Int(firstEntries[index]) == entry, Int(firstUsers[index + 1]) > user
      else { throw IndexError(.corrupt, "its lists overlap") }
      size = Int(sizes[index])
      entry += size * (Int(firstUsers[index + 1]) - user)
      user = Int(firstUsers[index + 1])
    }
    guard user == header.users, Int(firstUsers[header.sizes]) == user, entry == header.likes else {
      throw IndexError(.corrupt, "its lists overlap")
    }
  }
}
