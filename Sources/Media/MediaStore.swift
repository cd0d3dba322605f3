// Where the files of images are: one folder, a file an image and a file a thumbnail, under the same random name.

import Glibc
import ImageFiles

/// The name of an image, which is that of its files: 128 random bits and the ending of its kind.
public struct ImageKey: Equatable, Sendable, CustomStringConvertible {
  public let description: String

  public init(random format: ImageFormat) {
    var generator = SystemRandomNumberGenerator()
    let digits = (0..<2).map { _ in
      let text = String(generator.next(), radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }
    description = digits.joined() + "." + format.ending
  }

  /// nil if it is not the name of an image: nothing else is ever looked for in the store, or removed from it.
  public init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].utf8.count == 32, ImageFormat(rawValue: String(parts[1])) != nil,
      parts[0].utf8.allSatisfy({
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      })
    else { return nil }
    description = text
  }
}

/// The folder `media`. nginx serves it, the post service adds to it, the worker removes from it.
public struct MediaStore: Sendable {
  public let folder: String
  private var thumbnails: String { "\(folder)/thumbnails" }

  /// - Parameter home: the stack's folder.
  public init(home: String) { folder = "\(home)/media" }

  /// The two files of an image that is being made, empty and open for writing and reading.
  ///
  /// They have their final names from the beginning. That is safe because nobody can guess one, and because the database
  /// knows the name before: what a crash leaves behind is found by it and removed.
  public struct NewFiles {
    public let image: Int32
    public let thumbnail: Int32
  }

  /// - Throws: `.unavailable` if they cannot be made.
  func create(_ key: ImageKey) throws(ImageError) -> NewFiles {
    let image = open("\(folder)/\(key)", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard image >= 0 else { throw .unavailable("\(folder)/\(key): \(String(cString: strerror(errno)))") }
    let thumbnail = open("\(thumbnails)/\(key)", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard thumbnail >= 0 else {
      let reason = String(cString: strerror(errno))
      close(image)
      unlink("\(folder)/\(key)")
      throw .unavailable("\(thumbnails)/\(key): \(reason)")
    }
    return NewFiles(image: image, thumbnail: thumbnail)
  }

  /// Has the files and their names on the disk, so that a crash of the machine leaves the post its image.
  ///
  /// - Returns: their length together.
  func finish(_ files: NewFiles) throws(ImageError) -> Int {
    var bytes = 0
    for descriptor in [files.image, files.thumbnail] {
      var status = stat()
      guard fsync(descriptor) == 0, fstat(descriptor, &status) == 0 else {
        throw .unavailable("an image cannot be written: \(String(cString: strerror(errno)))")
      }
      bytes += Int(status.st_size)
    }
    for path in [folder, thumbnails] {
      let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      defer { close(descriptor) }
      guard descriptor >= 0, fsync(descriptor) == 0 else { throw .unavailable("\(path): \(String(cString: strerror(errno)))") }
    }
    return bytes
  }

  /// Removes an image's files. That one is gone already is no error.
  ///
  /// - Returns: what stood in the way, nil if nothing did.
  public func remove(_ key: ImageKey) -> String? {
    for path in ["\(folder)/\(key)", "\(thumbnails)/\(key)"] where unlink(path) != 0 && errno != ENOENT {
      return "\(path): \(String(cString: strerror(errno)))"
    }
    return nil
  }

  /// Whether an image has both its files.
  public func isComplete(_ key: ImageKey) -> Bool {
    access("\(folder)/\(key)", F_OK) == 0 && access("\(thumbnails)/\(key)", F_OK) == 0
  }

  /// A file of the store that an operator asks about.
  public struct Entry: Sendable {
    /// Relative to the store.
    public let path: String
    /// nil if it has not the name of an image.
    public let key: ImageKey?
    /// Seconds since it was last written to.
    public let age: Int
  }

  /// Every file there is, or nil, with errno set, if the store cannot be read.
  public func entries() -> [Entry]? {
    var entries: [Entry] = []
    for (path, prefix) in [(folder, ""), (thumbnails, "thumbnails/")] {
      guard let directory = opendir(path) else { return nil }
      defer { closedir(directory) }
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        var status = stat()
        guard lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT != S_IFDIR else { continue }
        entries.append(Entry(path: prefix + name, key: ImageKey(name), age: time(nil) - status.st_mtim.tv_sec))
      }
    }
    return entries
  }

  /// Whether a file that `entries` has named is still there.
  public func contains(_ path: String) -> Bool { access("\(folder)/\(path)", F_OK) == 0 }

  /// Removes one file that `entries` has named.
  public func removeFile(_ path: String) -> Bool { unlink("\(folder)/\(path)") == 0 }
}
