import Foundation
import ImageFiles
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

  /// Three frames behind a picture for programs that show no animations, as APNG has it.
  static func animatedPNG() async throws -> [UInt8] {
    func number(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> ((count - 1 - $0) * 8)) } }
    func chunk(_ kind: String, _ content: [UInt8]) -> [UInt8] {
      var crc = ~UInt32(0)
      for byte in Array(kind.utf8) + content {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
      }
      return number(content.count, 4) + kind.utf8 + content + number(Int(~crc), 4)
    }
    var animation: [UInt8] = []
    for frame in 0..<4 {
      var png = try await image("png", options: "strip")[...]
      png = png.dropFirst(8)
      var data: [UInt8] = []
      while let length = png.prefix(4).count == 4 ? png.prefix(4).reduce(0, { $0 << 8 | Int($1) }) : nil {
        let (kind, content) = (String(decoding: png.dropFirst(4).prefix(4), as: UTF8.self), Array(png.dropFirst(8).prefix(length)))
        if kind == "IHDR", frame == 0 {
          animation += [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10] + chunk(kind, content) + chunk("acTL", number(3, 4) + number(0, 4))
        }
        if kind == "IDAT" { data += content }
        png = png.dropFirst(12 + length)
      }
      if frame == 0 {
        animation += chunk("IDAT", data)
      } else {
        animation += chunk(
          "fcTL", number(frame * 2 - 2, 4) + number(60, 4) + number(40, 4) + number(0, 8) + number(1, 2) + number(10, 2) + [0, 0])
        animation += chunk("fdAT", number(frame * 2 - 1, 4) + data)
      }
    }
    return animation + chunk("IEND", [])
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
    // Where the pixels of a JPEG and of a PNG end only a decoder knows (ImageMakerTests).
    let lengths = [12, 30] + (ending == "jpg" ? [300] : ending == "png" ? [] : [image.count / 2, image.count - 3])
    for length in lengths {
      #expect(error(image[..<length]) == .broken, "\(length) of \(image.count)")
    }
  }

  @Test("an image without the mark of its end is whole, as browsers show it", arguments: ["jpg", "gif", "png"])
  func withoutEnd(_ ending: String) async throws {
    let image = try await Sample.image(ending)
    let length = ["jpg": 2, "gif": 1, "png": 12][ending, default: 0]
    let cut = image.dropLast(length)
    #expect(error(cut) == nil)
    #expect(error(cut.dropLast()) == nil)
    #expect(error(image.dropLast(length - 1)) == nil)
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

  @Test("what is behind an image is passed over, whatever it is", arguments: Sample.endings)
  func behind(_ ending: String) async throws {
    let image = try await Sample.image(ending)
    let facts = try ImageFacts(examining: image[...])
    let trailers = [
      "\n", "<script>alert(1)</script>", "PK\u{5}\u{6}\(String(repeating: "\0", count: 18))", "%PDF-1.7", "\0\0x",
      "SEFH\u{6b}\u{1}notesSEFT",
      "\0\0\0\u{18}ftypmp42isom", "CANON OPTIONAL DATA\0", "cxifd",
    ]
    for trailer in trailers.map({ Array($0.utf8) }) + [image, Array(image[..<100]), [UInt8](repeating: 0xff, count: 100)] {
      #expect(try ImageFacts(examining: (image + trailer)[...]) == facts, "\(trailer.prefix(20))")
    }
  }

  @Test("bytes between a JPEG's segments are passed over")
  func stray() async throws {
    let jpeg = try await Sample.image("jpg")
    let facts = try ImageFacts(examining: jpeg[...])
    // Behind SOI there is the first segment, whose length says where the second begins.
    let second = 4 + Int(jpeg[4]) << 8 + Int(jpeg[5])
    for stray: [UInt8] in [[0], [0xff], [0xff, 0xff, 0xff], [1, 2, 3], [0xff, 0], [0x0a]] {
      #expect(try ImageFacts(examining: (jpeg[..<second] + stray + jpeg[second...])[...]) == facts, "\(stray)")
    }
    guard case .jpeg(let file) = try ImageFile((jpeg[..<second] + [7, 91, 7, 92, 7, 93] + jpeg[second...])[...]) else {
      Issue.record("no JPEG")
      return
    }
    #expect(try ImageFacts(examining: file.bytes[...]) == facts && file.hasEnd)
    #expect(!file.bytes.indices.dropLast(2).contains { file.bytes[$0...].starts(with: [7, 91, 7, 92, 7, 93]) })
  }

  @Test("zeros between a GIF's blocks are passed over")
  func zeros() async throws {
    let frame: [UInt8] = [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 0x01, 0]
    let head: [UInt8] = Array("GIF89a".utf8) + [2, 0, 2, 0, 0x80, 0, 0] + [0, 0, 0, 255, 255, 255]
    for body in [frame + [0] + frame, [0, 0] + frame + [0, 0, 0] + frame + [0], frame + frame] {
      let facts = try ImageFacts(examining: (head + body + [0x3b])[...])
      #expect((facts.width, facts.height, facts.frames) == (2, 2, 2))
    }
    #expect(error(head + [0x3b]) == .broken)
    #expect(error(head + [0x55]) == .broken)
  }

  @Test("an animation ends before the frame that is wrong, whatever follows")
  func wrongAnimation() async throws {
    let animation = try await Sample.animatedPNG()
    func places(_ kind: String) -> [Int] { animation.indices.filter { animation[$0...].starts(with: kind.utf8) } }
    var wrong = animation
    // The second frame begins outside of the canvas.
    let second = places("fcTL")[1]
    wrong[second + 4 + 12 + 2] = 1
    #expect(try ImageFacts(examining: wrong[...]).frames == 1)
    // The third one has another sequence number than follows.
    wrong = animation
    wrong[places("fcTL")[2] + 4 + 3] = 1
    #expect(try ImageFacts(examining: wrong[...]).frames == 2)
    // Behind it what says how many frames there are comes again, before the pixels.
    let (start, control, pixels) = (places("acTL")[0] - 4, places("fcTL")[0] - 4, places("IDAT")[0] - 4)
    let header = animation[start..<pixels]
    var frame = animation[control..<(control + 38)]
    frame[control + 8 + 4] = 1
    #expect(try ImageFacts(examining: (animation[..<start] + header + frame + header + animation[pixels...])[...]).frames == 1)
  }

  @Test("how a camera was held is read from every kind that can say it, and nothing else is read for it")
  func orientation() {
    func exif(_ value: UInt8, type: UInt8 = 3, tag: UInt8 = 0x12) -> [UInt8] {
      [0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 1, tag, 0, type, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0]
    }
    func jpeg(_ exif: [UInt8]) -> Orientation? {
      let segment = Array("Exif\0\0".utf8) + exif
      let bytes: [UInt8] =
        [0xff, 0xd8, 0xff, 0xe1, 0, UInt8(segment.count + 2)] + segment + [0xff, 0xc0, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0]
        + [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0xff, 0xd9]
      guard case .jpeg(let file) = try? ImageFile(bytes[...]) else { return nil }
      return file.orientation
    }
    for value in 1...8 { #expect(jpeg(exif(UInt8(value))) == Orientation(rawValue: value)) }
    #expect(jpeg(exif(9)) == .topLeft && jpeg(exif(0)) == .topLeft)
    #expect(jpeg(exif(6, type: 4)) == .topLeft && jpeg(exif(6, tag: 0x13)) == .topLeft)
    #expect(jpeg([]) == .topLeft && jpeg(Array(exif(6).prefix(12))) == .topLeft && jpeg([0x49] + exif(6).dropFirst()) == .topLeft)
    let little: [UInt8] = [0x49, 0x49, 0x2a, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]
    #expect(jpeg(little) == .leftBottom)
  }

  @Test("more than 40 megapixels, in one frame or in all, are too many, said in a few bytes")
  func pixels() async throws {
    func header(_ width: UInt32, _ height: UInt32) -> [UInt8] {
      let size = withUnsafeBytes(of: width.bigEndian) { Array($0) } + withUnsafeBytes(of: height.bigEndian) { Array($0) }
      return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13] + Array("IHDR".utf8) + size + [8, 2, 0, 0, 0, 0, 0, 0, 0]
        + [0, 0, 0, 1] + Array("IDAT".utf8) + [0, 0, 0, 0, 0] + [0, 0, 0, 0] + Array("IEND".utf8) + [0, 0, 0, 0]
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
    #expect(error(animation(40)) == nil)
    #expect(error(animation(41)) == .tooManyPixelsInAllFrames)
    // One that is not to be seen is decoded all the same.
    var beyond = frame
    beyond.replaceSubrange(1..<9, with: [0xe8, 3, 0xe8, 3, 0x88, 0x13, 0x40, 0x1f])
    #expect(error(animation(1).dropLast() + beyond) == .tooManyPixelsInAllFrames)
    beyond.replaceSubrange(5..<9, with: [1, 0, 1, 0])
    let facts = try ImageFacts(examining: (animation(1).dropLast() + beyond)[...])
    #expect((facts.width, facts.height, facts.frames) == (1000, 1000, 2))
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
