// From the bytes that somebody has sent to the two files that are served: decoded and encoded again by libvips' program, in a process
// of its own.

import CLinux
import EventLoop
import Glibc

/// Makes the files of an image.
///
/// What is served was written by our encoder from pixels alone: turned upright, in sRGB, at most 400 pixels a side as a thumbnail, and
/// without anything that the camera or somebody else has added. The decoder is a program that knows nothing, owns nothing and may use so
/// much and no more: whatever an image does to it, it is that process that dies.
@Worker
public struct ImageMaker {
  private let store: MediaStore

  public init(store: MediaStore) { self.store = store }

  /// The room that the files of one image may take, in bytes.
  public static let largestFiles = Size.whole.limit + Size.thumbnail.limit

  /// What is made of an image.
  private enum Size {
    /// As large as it is, with all its frames.
    case whole
    /// 400 pixels at most a side, of the first frame: a page of moving thumbnails is no help to anybody.
    case thumbnail

    /// As libvips takes it: the sign says that nothing is made larger.
    var geometry: String { self == .whole ? "65535x65535>" : "400x400>" }
    /// Of its file, in bytes. What was packed better than our encoder packs it may grow.
    var limit: Int { self == .whole ? 32 << 20 : 8 << 20 }
  }

  /// Writes both files, and leaves none behind if it fails.
  ///
  /// - Parameters:
  ///   - bytes: an image of which `facts` were found.
  ///   - key: its name, which the database knows already.
  /// - Returns: the length of both files, in bytes.
  /// - Throws: `.undecodable`, or `.unavailable` if it is none of the image's fault.
  public func make(_ key: ImageKey, from bytes: ArraySlice<UInt8>, _ facts: ImageFacts) async throws(ImageError) -> Int {
    let files = try store.create(key)
    defer {
      close(files.image)
      close(files.thumbnail)
    }
    do throws(ImageError) {
      let source = try Self.source(bytes)
      defer { close(source) }
      try await encode(source, .whole, facts, into: files.image)
      try await encode(source, .thumbnail, facts, into: files.thumbnail)
      return try store.finish(files)
    } catch {
      _ = store.remove(key)
      throw error
    }
  }

  /// The bytes in a file in memory: the program reads it like any other, and nothing of it is ever on a disk.
  private static func source(_ bytes: ArraySlice<UInt8>) throws(ImageError) -> Int32 {
    let descriptor = memfd_create("image", MFD_CLOEXEC)
    guard descriptor >= 0 else { throw .unavailable("memfd_create: \(String(cString: strerror(errno)))") }
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else {
        close(descriptor)
        throw .unavailable("no memory for an image")
      }
      rest = rest.dropFirst(count)
    }
    return descriptor
  }

  private static func saverOptions(_ format: ImageFormat) -> String {
    switch format {
    case .jpeg: "Q=85,optimize_coding,strip"
    case .png: "compression=6,bitdepth=8,strip"
    // Frames that hardly differ may share a palette, and colours may be a little off: a GIF is no photograph.
    case .gif: "effort=4,strip"
    case .webp: "Q=82,effort=2,strip"
    }
  }

  private func encode(_ source: Int32, _ size: Size, _ facts: ImageFacts, into output: Int32) async throws(ImageError) {
    let isAnimated = facts.frames > 1
    // Frames are in the place of pages: n of them, all for -1.
    let loader = isAnimated && size == .whole ? "[n=-1,fail_on=error]" : "[fail_on=error]"
    // What is to be turned is one picture. libvips would turn an animation as if it were, with its frames one above the other.
    let turning = isAnimated ? ["--no-rotate"] : []
    lseek(source, 0, SEEK_SET)
    let errors = memfd_create("errors", MFD_CLOEXEC)
    defer { close(errors) }
    let outcome = await BoundedProcess.run(
      ["/usr/bin/vipsthumbnail", "stdin\(loader)", "--size", size.geometry, "--export-profile", "srgb"] + turning
        + ["--output", ".\(facts.format.ending)[\(Self.saverOptions(facts.format))]"],
      // One thread; no temporary files; none of the decoders that nobody has fuzzed.
      environment: [
        "PATH=/usr/bin", "LC_ALL=C.UTF-8", "VIPS_CONCURRENCY=1", "VIPS_DISC_THRESHOLD=4g", "VIPS_BLOCK_UNTRUSTED=1", "MALLOC_ARENA_MAX=1",
      ],
      input: source, output: output, errors: errors,
      limits: BoundedProcess.Limits(memory: 1 << 30, seconds: 30, fileSize: size.limit, wallTime: .seconds(60)))
    guard let outcome else { throw .unavailable("/usr/bin/prlimit: \(String(cString: strerror(errno)))") }
    if let failure = Self.failure(of: outcome, saying: Self.text(of: errors)) { throw failure }
    try finish(output, facts.format, limit: size.limit)
  }

  /// What is to be told of an image whose decoder has ended like this: whether it was the image's fault, for which it is refused, or the
  /// machine's, so that it may be sent again.
  ///
  /// - Parameter errors: what the decoder has written to its standard error.
  /// - Returns: nil if the decoder has done its work.
  package static func failure(of outcome: BoundedProcess.Outcome, saying errors: String) -> ImageError? {
    switch outcome {
    case .exited(0): nil
    // What prlimit says of a program that it cannot start.
    case .exited(126), .exited(127): .unavailable("/usr/bin/vipsthumbnail cannot be run")
    case .exited where errors.contains("No space left"): .unavailable("no space left for images")
    case .exited: .undecodable
    case .killed(let signal) where ownSignals.contains(signal): .undecodable
    // Nothing that an image can do: the kernel, out of memory beyond the decoder's own limit, or somebody who stops everything.
    case .killed(let signal): .unavailable("the decoder was killed by signal \(signal)")
    // What an image may cost is processor time. If it got none, or waited for a disk, the machine has too much to do.
    case .timedOut: .unavailable("the decoder was not done in time")
    }
  }

  /// By which a program ends for what it does itself: beyond a limit, or by a mistake.
  private static let ownSignals: Set = [SIGXCPU, SIGXFSZ, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGILL, SIGFPE, SIGSYS]

  /// Takes nothing on trust from a process that an image may have got the better of: what it has written is looked at like what was
  /// sent.
  private func finish(_ output: Int32, _ format: ImageFormat, limit: Int) throws(ImageError) {
    let length = Int(lseek(output, 0, SEEK_END))
    guard (1...limit).contains(length) else { throw .undecodable }
    let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      count = max(0, pread(output, buffer.baseAddress, length, 0))
    }
    guard bytes.count == length, let facts = try? ImageFacts(examining: bytes[...]), facts.format == format else { throw .undecodable }
    guard format == .webp else { return }
    let stripped = try WebPStructure.withoutMetadata(bytes)
    guard stripped.count < length else { return }
    guard pwrite(output, stripped, stripped.count, 0) == stripped.count, ftruncate(output, off_t(stripped.count)) == 0 else {
      throw .unavailable("an image cannot be written: \(String(cString: strerror(errno)))")
    }
  }

  private static func text(of descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
  }
}
