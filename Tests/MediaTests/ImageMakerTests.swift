import EventLoop
import Foundation
import ImageFiles
import Media
import TestSupport
import Testing

@Suite("making the files of an image")
struct ImageMakerTests {
  /// What has become of an image in a store of its own.
  private struct Made {
    let image: [UInt8]
    let thumbnail: [UInt8]
    let files: Int
  }

  private static func make(_ bytes: [UInt8]) async throws -> Made {
    let facts = try ImageFacts(examining: bytes[...])
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: "\(folder.path)/media/thumbnails", withIntermediateDirectories: true)
    let store = MediaStore(home: folder.path)
    let key = ImageKey(random: facts.storedFormat)
    do {
      let decoder = try BuiltExecutable.path("chatty-image")
      let length = try await onLoop { try await ImageMaker(store: store, decoder: decoder).make(key, from: bytes[...], facts) }
      let image = [UInt8](try Data(contentsOf: URL(filePath: "\(store.folder)/\(key)")))
      let thumbnail = [UInt8](try Data(contentsOf: URL(filePath: "\(store.folder)/thumbnails/\(key)")))
      #expect(length == image.count + thumbnail.count)
      return Made(image: image, thumbnail: thumbnail, files: store.entries()?.count ?? 0)
    } catch {
      #expect(store.entries()?.count == 0, "a file was left behind")
      throw error
    }
  }

  @Test("an image keeps its kind and size, and its thumbnail has 400 pixels at most", arguments: Sample.endings)
  func sizes(_ ending: String) async throws {
    for (width, height, thumbnail) in [(600, 300, (400, 200)), (300, 600, (200, 400)), (40, 30, (40, 30))] {
      let made = try await Self.make(try await Sample.image(ending, width: width, height: height))
      let facts = try ImageFacts(examining: made.image[...])
      let small = try ImageFacts(examining: made.thumbnail[...])
      #expect(facts.format.ending == ending && (facts.width, facts.height) == (width, height))
      #expect(small.format.ending == ending && (small.width, small.height) == thumbnail)
      #expect(made.files == 2)
    }
  }

  @Test("an animation stays one, and its thumbnail is its first frame", arguments: ["gif", "webp"])
  func animations(_ ending: String) async throws {
    let made = try await Self.make(try await Sample.image(ending, width: 500, height: 450, frames: 5))
    let facts = try ImageFacts(examining: made.image[...])
    #expect((facts.width, facts.height, facts.frames) == (500, 450, 5))
    let small = try ImageFacts(examining: made.thumbnail[...])
    #expect((small.width, small.height, small.frames) == (400, 360, 1))
  }

  @Test("an animated PNG becomes an animated WebP with its frames, and not with a picture that is none of them")
  func animatedPNG() async throws {
    let frames = try await Sample.animatedPNG()
    let facts = try ImageFacts(examining: frames[...])
    #expect((facts.format, facts.storedFormat, facts.frames) == (.png, .webp, 3))
    let made = try await Self.make(frames)
    let image = try ImageFacts(examining: made.image[...])
    #expect((image.format, image.width, image.height, image.frames) == (.webp, 60, 40, 3))
    let thumbnail = try ImageFacts(examining: made.thumbnail[...])
    #expect((thumbnail.format, thumbnail.frames) == (.webp, 1))
  }

  @Test("nothing survives of what is in a file besides its picture", arguments: Sample.endings)
  func besides(_ ending: String) async throws {
    let secret = Array("<script>alert(1)</script>".utf8)
    var image = try await Sample.image(ending)
    switch ending {
    case "jpg": image.insert(contentsOf: [0xff, 0xfe, 0, UInt8(secret.count + 2)] + secret, at: 2)
    case "gif": image.insert(contentsOf: [0x21, 0xfe, UInt8(secret.count)] + secret + [0], at: image.count - 1)
    default: break
    }
    let made = try await Self.make(image + secret)
    for file in [made.image, made.thumbnail] {
      #expect(!file.indices.contains { file[$0...].starts(with: secret) })
    }
  }

  @Test("what breaks off in the middle of its pixels leaves nothing", arguments: Sample.endings)
  func truncated(_ ending: String) async throws {
    let image = try await Sample.image(ending, width: 300, height: 300)
    let error = await #expect(throws: ImageError.self) { try await Self.make(Array(image[..<(image.count * 2 / 3)])) }
    #expect([.undecodable, .broken].contains(error))
  }

  @Test("what has the structure of an image and cannot be decoded leaves nothing", arguments: Sample.endings)
  func undecodable(_ ending: String) async throws {
    var image = try await Sample.image(ending, width: 300, height: 300)
    // The middle of the coded pixels; for a JPEG with no byte that could be a marker.
    for place in (image.count / 3)..<(image.count * 2 / 3) where image[place] != 0xff && image[place - 1] != 0xff { image[place] ^= 0x55 }
    do {
      _ = try ImageFacts(examining: image[...])
    } catch {
      return  // The structure tells already: a GIF is made of blocks all through.
    }
    do {
      let made = try await Self.make(image)
      // A decoder may see nothing wrong in other pixels, but then it is an image.
      #expect(try ImageFacts(examining: made.image[...]).width == 300)
    } catch {
      #expect(error as? ImageError == .undecodable)
    }
  }

  @Test("an image is refused for what it does to its decoder, and not for what the machine does")
  @Worker
  func faults() {
    for signal in [SIGXCPU, SIGXFSZ, SIGSEGV, SIGABRT, SIGTRAP] {
      #expect(ImageMaker.failure(of: .killed(signal), saying: "") == .undecodable)
    }
    #expect(ImageMaker.failure(of: .exited(65), saying: "the image cannot be decoded") == .undecodable)
    let machine: [(BoundedProcess.Outcome, String)] = [
      (.timedOut, ""), (.killed(SIGKILL), ""), (.killed(SIGTERM), ""), (.exited(127), ""), (.exited(1), ""),
      (.exited(74), "an image cannot be written: No space left on device"),
    ]
    for (outcome, errors) in machine {
      guard case .unavailable = ImageMaker.failure(of: outcome, saying: errors) else {
        Issue.record("\(outcome) is said to be the image's fault")
        continue
      }
    }
    #expect(ImageMaker.failure(of: .exited(0), saying: "a warning") == nil)
  }

  @Test("a bomb that its structure does not give away is stopped by the limits")
  func bomb() async throws {
    // A PNG whose pixels say to be of 8,000 by 5,000 and decompress to nothing like it: the decoder fails and not we.
    var bomb = try await Sample.image("png", width: 100, height: 100)
    bomb.replaceSubrange(16..<24, with: [0, 0, 0x1f, 0x40, 0, 0, 0x13, 0x88])
    let error = await #expect(throws: ImageError.self) { try await Self.make(bomb) }
    #expect(error == .undecodable)
  }
}
