import Foundation
import Media
import TestSupport
import Testing

/// Images made by libvips' own program, so that what is examined is what encoders write.
enum Sample {
  /// - Parameters:
  ///   - options: of the encoder, such as `Q=80`.
  ///   - frames: more than one for an animation.
  static func image(_ ending: String, width: Int = 60, height: Int = 40, options: String = "", frames: Int = 1) async throws -> [UInt8] {
    let folder = try TemporaryFolder()
    let source = "\(folder.path)/source.png"
    let target = "\(folder.path)/target.\(ending)"
    try await vips(["gaussnoise", "\(folder.path)/noise.v", "\(width)", "\(height * frames)", "--mean", "128", "--sigma", "40"])
    try await vips(["cast", "\(folder.path)/noise.v", source, "uchar"])
    if frames > 1 {
      try await vips(["\(ending)save", source, target, "--page-height", "\(height)"])
    } else {
      try await vips(["copy", source, target + (options.isEmpty ? "" : "[\(options)]")])
    }
    return [UInt8](try Data(contentsOf: URL(filePath: target)))
  }

  static func vips(_ arguments: [String]) async throws {
    let folder = try TemporaryFolder()
    let output = try OutputFile(in: folder)
    let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
    defer { close(nothing) }
    let child = try ChildProcess(
      ["/usr/bin/vips"] + arguments, environment: ["PATH": "/usr/bin"], input: nothing, output: output.descriptor)
    let status = try await child.waitForExit()
    guard status == 0 else { throw TestError("vips \(arguments): \(output.text)") }
  }

  static let endings = ["jpg", "png", "gif", "webp"]
}

private func error(_ bytes: some Collection<UInt8>) -> ImageError? {
  do throws(ImageError) {
    _ = try ImageFacts(examining: Array(bytes)[...])
    return nil
  } catch {
    return error
  }
}

@Suite("what the structure of an image's file says")
struct ImageStructureTests {
  @Test("every kind is known by its bytes, with its size", arguments: Sample.endings)
  func kinds(_ ending: String) async throws {
    let facts = try ImageFacts(examining: try await Sample.image(ending)[...])
    #expect(facts.format.ending == ending)
    #expect((facts.width, facts.height, facts.frames) == (60, 40, 1))
  }

  @Test("encoders' variants are all understood")
  func variants() async throws {
    for (ending, options) in [
      ("jpg", "interlace"), ("jpg", "subsample_mode=off"), ("png", "interlace"), ("png", "palette"), ("webp", "lossless"),
      ("gif", "interlace"),
    ] {
      let facts = try ImageFacts(examining: try await Sample.image(ending, options: options)[...])
      #expect((facts.width, facts.height) == (60, 40), "\(ending) \(options)")
    }
  }

  @Test("frames are counted", arguments: ["gif", "webp"])
  func frames(_ ending: String) async throws {
    let facts = try ImageFacts(examining: try await Sample.image(ending, frames: 7)[...])
    #expect((facts.width, facts.height, facts.frames) == (60, 40, 7))
  }

  @Test("a file that ends early is broken, wherever it ends", arguments: Sample.endings)
  func early(_ ending: String) async throws {
    let image = try await Sample.image(ending)
    for length in [12, 30, image.count / 2, image.count - 2, image.count - 1] {
      #expect(error(image[..<length]) == .broken, "\(length) of \(image.count)")
    }
  }

  @Test("whatever bytes are changed, the walk ends", arguments: Sample.endings)
  func changed(_ ending: String) async throws {
    let image = try await Sample.image(ending)
    for place in image.indices {
      for value: UInt8 in [0, 1, 0x7f, 0xff] {
        var changed = image
        changed[place] = value
        _ = error(changed)
      }
    }
  }

  @Test("what is no image of these kinds is not taken for one")
  func others() {
    for text in [
      "", "x", "<svg xmlns='http://www.w3.org/2000/svg'/>", "<!doctype html><script>alert(1)</script>", "BM......", "II*\0....", "%PDF-1.7",
      "RIFF....WAVE", "\u{89}PNG", "GIF90a",
    ] {
      #expect(error(text.utf8) == .unknownFormat, "\(text)")
    }
  }

  @Test("something behind the image, or hidden in it, is refused; zeros are not", arguments: Sample.endings)
  func polyglots(_ ending: String) async throws {
    let image = try await Sample.image(ending)
    for text in ["<script>alert(1)</script>", "PK\u{5}\u{6}\(String(repeating: "\0", count: 18))", "%PDF-1.7", "x", "\0\0x"] {
      #expect(error(image + Array(text.utf8)) == .polyglot, "\(text)")
    }
    #expect(error(image + [UInt8](repeating: 0, count: 100)) == nil)
  }

  @Test("an archive in a comment is refused, and the first bytes of its end are no archive")
  func archives() async throws {
    let jpeg = try await Sample.image("jpg")
    func end(disk: UInt8 = 0, length: UInt8 = 0, start: [UInt8] = [0, 0, 0, 0], comment: [UInt8] = [0, 0]) -> [UInt8] {
      [0x50, 0x4b, 5, 6, disk, 0, disk, 0, 1, 0, 1, 0, length, 0, 0, 0] + start + comment
    }
    func holding(_ comment: [UInt8]) -> [UInt8] { jpeg[..<2] + [0xff, 0xfe, 0, UInt8(comment.count + 2)] + comment + jpeg[2...] }
    #expect(error(holding(end())) == .polyglot)
    // Where the comment's content begins there are six bytes before it.
    #expect(error(holding(end(length: 6))) == .polyglot)
    #expect(error(holding(end(length: 7))) == nil)
    #expect(error(holding(end(length: 2, start: [4, 0, 0, 0]))) == .polyglot)
    #expect(error(holding(end(start: [255, 255, 255, 255]))) == nil)
    let locator = [0x50, 0x4b, 6, 7] + [UInt8](repeating: 0, count: 16)
    #expect(error(holding(locator + end(disk: 255, start: [255, 255, 255, 255]))) == .polyglot)
    #expect(error(holding(end(disk: 1))) == nil)
    let behind = jpeg.count - 2
    #expect(error(holding(end(comment: [UInt8(behind & 0xff), UInt8(behind >> 8)]))) == .polyglot)
    #expect(error(holding(end(comment: [UInt8((behind + 1) & 0xff), UInt8((behind + 1) >> 8)]))) == nil)
    #expect(error(holding(Array("PK\u{5}\u{6}".utf8) + [0x9c, 0x41, 0x07, 0xee] + [UInt8](repeating: 0x5a, count: 14))) == nil)
    #expect(error(holding(Array("PK\u{5}\u{6}".utf8))) == nil)
  }

  @Test("what cameras put behind a picture belongs to it")
  func trailers() async throws {
    let image = try await Sample.image("jpg")
    #expect(error(image + image) == nil)
    #expect(error(image + [0, 0] + image + [0]) == nil)
    #expect(error(image + [0, 0, 0, 0x18] + Array("ftypmp42isom".utf8)) == nil)
    #expect(error(image + Array("SEFH\u{6b}\u{1}notesSEFT".utf8)) == nil)
    #expect(error(image + image[..<100]) == .broken)
    #expect(error(image + [0, 0, 0, 0x18] + Array("ftypmp42<?php echo 1;".utf8)) == .polyglot)
  }

  @Test("a script in a comment is refused")
  func comments() async throws {
    var jpeg = try await Sample.image("jpg")
    let comment = Array("<SCRIPT>alert(1)</SCRIPT>".utf8)
    jpeg.insert(contentsOf: [0xff, 0xfe, 0, UInt8(comment.count + 2)] + comment, at: 2)
    #expect(error(jpeg) == .polyglot)
    jpeg.replaceSubrange(6..<14, with: Array("(harmle)".utf8))
    #expect(error(jpeg) == nil)
  }

  @Test("more than 40 megapixels, or 80 in all frames, are too many, said in a few bytes")
  func pixels() async throws {
    func header(_ width: UInt32, _ height: UInt32) -> [UInt8] {
      let size = withUnsafeBytes(of: width.bigEndian) { Array($0) } + withUnsafeBytes(of: height.bigEndian) { Array($0) }
      return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13] + Array("IHDR".utf8) + size + [8, 2, 0, 0, 0, 0, 0, 0, 0]
        + [0, 0, 0, 0] + Array("IEND".utf8) + [0, 0, 0, 0]
    }
    #expect(error(header(30_000, 30_000)) == .tooManyPixels)
    #expect(error(header(8_000, 5_001)) == .tooManyPixels)
    #expect(error(header(8_000, 5_000)) == nil)
    #expect(error(header(65_536, 1)) == .tooManyPixels)
    #expect(error(header(.max, .max)) == .tooManyPixels)
    #expect(error(header(0, 1)) == .broken)

    // A frame again and again: it is counted, though it is hardly any bytes.
    let frame: [UInt8] = [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 0x01, 0]
    func animation(_ count: Int) -> [UInt8] {
      Array("GIF89a".utf8) + [0xe8, 0x03, 0xe8, 0x03, 0x80, 0, 0] + [0, 0, 0, 255, 255, 255] + (0..<count).flatMap { _ in frame } + [0x3b]
    }
    #expect(error(animation(80)) == nil)
    #expect(error(animation(81)) == .tooManyPixels)
  }

  @Test("the name of an image is random and of one form, and nothing else is one")
  func keys() {
    let keys = Set((0..<100).map { _ in ImageKey(random: .png).description })
    #expect(keys.count == 100)
    for key in keys { #expect(ImageKey(key)?.description == key) }
    for text in [
      "", "x.png", "../../etc/passwd", String(repeating: "a", count: 32), String(repeating: "a", count: 32) + ".svg",
      String(repeating: "A", count: 32) + ".png", String(repeating: "a", count: 32) + ".png.png",
      "../" + String(repeating: "a", count: 29) + ".png",
    ] {
      #expect(ImageKey(text) == nil, "\(text)")
    }
  }
}
