import Foundation
import LikeIndex
import TestSupport
import Testing

/// Files that are no good index.
@Suite("refused index files")
struct RefusedFileTests {
  private let folder: TemporaryFolder
  private let path: String
  private let good: Data

  init() throws {
    folder = try TemporaryFolder()
    path = "\(folder.path)/index"
    var random = SeededGenerator(seed: 20)
    try Network.random(users: 12, posts: 9, likesAtMost: 6, using: &random).build(in: path, using: &random)
    good = try Data(contentsOf: URL(filePath: path))
    _ = try IndexVerifier.open(path: path)
  }

  /// The error of a file with these contents; nil if it is taken.
  private func refusal(of data: Data) throws -> IndexError? {
    try data.write(to: URL(filePath: path))
    do throws(IndexError) { _ = try IndexVerifier.open(path: path) } catch { return error }
    return nil
  }

  @Test("one that was cut anywhere, or is longer than it should be")
  func cut() throws {
    for length in 0..<good.count {
      let refusal = try #require(try refusal(of: good.prefix(length)))
      #expect(refusal.kind == (length < 8 ? .foreign : .cut), "\(length) bytes: \(refusal)")
    }
    #expect(try refusal(of: good + [0])?.kind == .cut)
  }

  @Test("one with any bit changed")
  func corrupt() throws {
    for place in good.indices {
      var data = good
      data[place] ^= 1 << (place % 8)
      let refusal = try #require(try refusal(of: data), "byte \(place)")
      #expect(refusal.kind == (place < 8 ? .foreign : place < 16 ? .version : .corrupt), "byte \(place): \(refusal)")
    }
  }

  @Test("one of another version says which")
  func version() throws {
    var data = good
    data[8] = 7
    #expect(try refusal(of: data) == IndexError(.version, "it is of version 7 of the format, and this program reads version 1"))
  }

  @Test("something else, a folder, and nothing")
  func foreign() throws {
    #expect(try refusal(of: Data("user\titem\trating\n".utf8))?.kind == .foreign)
    #expect(try refusal(of: Data())?.kind == .foreign)
    #expect { try IndexVerifier(path: folder.path) } throws: { ($0 as? IndexError)?.kind == .foreign }
    #expect { try IndexVerifier(path: "\(folder.path)/nothing") } throws: { ($0 as? IndexError)?.kind == .missing }
  }
}
