// From the bytes that somebody has sent to the two files that are served: decoded and encoded again by a program of its own, chatty-image
// (Sources/ImageDecoder).

import CLinux
import EventLoop
import Glibc
import ImageFiles

/// Makes the files of an image.
///
/// What is served was written by our encoder from pixels alone: turned upright, in sRGB, at most 400 pixels a side as a thumbnail, and
/// without anything that the camera or somebody else has added. The decoder is a program that knows nothing, owns nothing and may use so
/// much and no more: whatever an image does to it, it is that process that dies.
@Worker
public struct ImageMaker {
  private let store: MediaStore
  private let decoder: String

  /// - Parameter decoder: the path of chatty-image.
  public init(store: MediaStore, decoder: String = ImageMaker.decoderBesideThisProgram) {
    self.store = store
    self.decoder = decoder
  }

  /// chatty-image in the folder of the running executable: whatever installs one installs both.
  public nonisolated static var decoderBesideThisProgram: String {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &path, path.count)
    let bytes = path.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }
    let folder = bytes.lastIndex(of: UInt8(ascii: "/")).map { bytes[..<$0] } ?? []
    return String(decoding: folder, as: UTF8.self) + "/chatty-image"
  }

  /// A file of an image, in bytes. What was packed better than our encoder packs it may grow.
  private static let fileLimit = 32 << 20
  private static let thumbnailLimit = 8 << 20

  /// Writes both files, and leaves none behind if it fails.
  ///
  /// - Parameters:
  ///   - bytes: an image of which `facts` were found.
  ///   - key: its name, which the database knows already, of the kind `facts.storedFormat`.
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
      try await decode(source, into: files)
      try check(files.image, facts.storedFormat, limit: Self.fileLimit)
      try check(files.thumbnail, facts.storedFormat, limit: Self.thumbnailLimit)
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
    lseek(descriptor, 0, SEEK_SET)
    return descriptor
  }

  private func decode(_ source: Int32, into files: MediaStore.NewFiles) async throws(ImageError) {
    let errors = memfd_create("errors", MFD_CLOEXEC)
    defer { close(errors) }
    let outcome = await BoundedProcess.run(
      [decoder], environment: ["PATH=/usr/bin", "LC_ALL=C.UTF-8", "MALLOC_ARENA_MAX=1", "SWIFT_BACKTRACE=enable=no"],
      descriptors: [source, files.image, errors, files.thumbnail],
      limits: BoundedProcess.Limits(memory: 1 << 30, seconds: 30, fileSize: Self.fileLimit, wallTime: .seconds(60)))
    guard let outcome else { throw .unavailable("/usr/bin/prlimit: \(String(cString: strerror(errno)))") }
    if let failure = Self.failure(of: outcome, saying: Self.text(of: errors)) { throw failure }
  }

  /// What is to be told of an image whose decoder has ended like this: whether it was the image's fault, for which it is refused, or the
  /// machine's, so that it may be sent again.
  ///
  /// - Parameter errors: what the decoder has written to its standard error.
  /// - Returns: nil if the decoder has done its work.
  package static func failure(of outcome: BoundedProcess.Outcome, saying errors: String) -> ImageError? {
    switch outcome {
    case .exited(0): nil
    case .exited(65): .undecodable
    // What prlimit says of a program that it cannot start.
    case .exited(126), .exited(127): .unavailable("chatty-image cannot be run")
    case .exited: .unavailable(errors)
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
  private func check(_ output: Int32, _ format: ImageFormat, limit: Int) throws(ImageError) {
    let length = Int(lseek(output, 0, SEEK_END))
    guard (1...limit).contains(length) else { throw .undecodable }
    let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      count = max(0, pread(output, buffer.baseAddress, length, 0))
    }
    guard bytes.count == length, let facts = try? ImageFacts(examining: bytes[...]), facts.format == format else { throw .undecodable }
  }

  private static func text(of descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
  }
}
