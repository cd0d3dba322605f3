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

/// The folder `media`. nginx serves it, the post service adds to it, the worker removes from it, an operator looks through it as root.
///
/// Nobody who does so follows a link: a service that somebody has got the better of could put one in the place of a folder or a file,
/// and what others do there would be done elsewhere, with their rights.
public struct MediaStore: Sendable {
  public let folder: String

  /// - Parameter home: the stack's folder.
  public init(home: String) { folder = "\(home)/media" }

  /// What there is a file of for each image.
  private enum Part: CaseIterable {
    case image
    case thumbnail

    /// Before the name of a file, relative to the store.
    var prefix: String { self == .image ? "" : "thumbnails/" }
  }

  /// One of the store's folders, open until it goes away.
  private struct Folder: ~Copyable {
    let descriptor: Int32

    /// nil, with errno set, if it is not there or is a link.
    init?(_ part: Part, of store: MediaStore) {
      let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
      let images = open(store.folder, flags)
      guard images >= 0 else { return nil }
      guard part == .thumbnail else {
        descriptor = images
        return
      }
      let thumbnails = openat(images, "thumbnails", flags)
      let reason = errno
      close(images)
      errno = reason
      guard thumbnails >= 0 else { return nil }
      descriptor = thumbnails
    }

    deinit { close(descriptor) }

    /// What is under a name, itself and not where it leads to; nil, with errno set, if there is nothing.
    borrowing func status(of name: String) -> stat? {
      var status = stat()
      return fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status : nil
    }

    /// A new and empty file, to be written and read; negative, with errno set, if it cannot be made.
    borrowing func create(_ name: String) -> Int32 {
      openat(descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
    }
  }

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
    guard let images = Folder(.image, of: self), let thumbnails = Folder(.thumbnail, of: self) else { throw lastProblem(key) }
    let image = images.create(key.description)
    guard image >= 0 else { throw lastProblem(key) }
    let thumbnail = thumbnails.create(key.description)
    guard thumbnail >= 0 else {
      let problem = lastProblem(key, .thumbnail)
      close(image)
      unlinkat(images.descriptor, key.description, 0)
      throw problem
    }
    return NewFiles(image: image, thumbnail: thumbnail)
  }

  private func lastProblem(_ key: ImageKey, _ part: Part = .image) -> ImageError {
    .unavailable("\(folder)/\(part.prefix)\(key): \(String(cString: strerror(errno)))")
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
    for part in Part.allCases {
      guard let directory = Folder(part, of: self), fsync(directory.descriptor) == 0 else {
        throw .unavailable("\(folder)/\(part.prefix): \(String(cString: strerror(errno)))")
      }
    }
    return bytes
  }

  /// Removes an image's files. That one is gone already is no error.
  ///
  /// - Returns: what stood in the way, nil if nothing did.
  public func remove(_ key: ImageKey) -> String? {
    for part in Part.allCases {
      guard let directory = Folder(part, of: self), unlinkat(directory.descriptor, key.description, 0) == 0 || errno == ENOENT else {
        return "\(folder)/\(part.prefix)\(key): \(String(cString: strerror(errno)))"
      }
    }
    return nil
  }

  /// Whether an image has both its files.
  public func isComplete(_ key: ImageKey) -> Bool {
    Part.allCases.allSatisfy { contains("\($0.prefix)\(key)") }
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
    for part in Part.allCases {
      guard let names = names(in: part), let directory = Folder(part, of: self) else { return nil }
      for name in names {
        guard let status = directory.status(of: name), status.st_mode & S_IFMT != S_IFDIR else { continue }
        entries.append(Entry(path: part.prefix + name, key: ImageKey(name), age: time(nil) - status.st_mtim.tv_sec))
      }
    }
    return entries
  }

  private func names(in part: Part) -> [String]? {
    guard let opened = Folder(part, of: self) else { return nil }
    let descriptor = fcntl(opened.descriptor, F_DUPFD_CLOEXEC, 0)
    guard descriptor >= 0, let directory = fdopendir(descriptor) else { return nil }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names
  }

  /// Whether a file that `entries` has named is still there.
  public func contains(_ path: String) -> Bool {
    let (part, name) = Self.place(of: path)
    guard let directory = Folder(part, of: self) else { return false }
    return directory.status(of: name) != nil
  }

  /// Removes one file that `entries` has named.
  public func removeFile(_ path: String) -> Bool {
    let (part, name) = Self.place(of: path)
    guard let directory = Folder(part, of: self) else { return false }
    return unlinkat(directory.descriptor, name, 0) == 0
  }

  private static func place(of path: String) -> (Part, name: String) {
    let prefix = Part.thumbnail.prefix
    return path.hasPrefix(prefix) ? (.thumbnail, String(path.dropFirst(prefix.count))) : (.image, path)
  }
}
