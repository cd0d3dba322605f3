// Files: one that is mapped and only read, one that is written. What touches the system's calls and raw memory is here, and nowhere
// else in this module.

import Glibc

/// A file mapped into memory, read-only, until nobody holds it any more.
///
/// It has to stay as long as it was: whoever cuts a mapped file ends the processes that read it (SIGBUS). An index is never written in
/// place, only replaced by a rename.
final class MappedFile: Sendable {
  let size: Int
  private nonisolated(unsafe) let base: UnsafeRawPointer
  /// What tells this file from one that has been put in its place.
  let identity: FileIdentity

  /// - Throws: `missing` or `system`; `foreign` for something that is no file, or empty.
  init(path: String) throws(IndexError) {
    // No link, and nothing that one waits for: an operator opens it as root, in a folder that chatty-worker writes to.
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw .lastOfSystem(path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .lastOfSystem(path) }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else { throw IndexError(.foreign, "it is not an index of likes") }
    size = Int(status.st_size)
    identity = FileIdentity(status)
    guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else { throw .lastOfSystem(path) }
    self.base = UnsafeRawPointer(base)
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: base), size) }

  /// The `count` numbers from the byte `offset` on.
  func section<Element: BitwiseCopyable>(of type: Element.Type, at offset: Int, count: Int) -> Section<Element> {
    precondition(offset >= 0 && count >= 0 && offset + count * MemoryLayout<Element>.stride <= size, "beyond the end of the file")
    precondition(offset % MemoryLayout<Element>.alignment == 0, "not aligned")
    return Section(file: self, start: (base + offset).assumingMemoryBound(to: Element.self), count: count)
  }
}

/// Numbers of a mapped file.
struct Section<Element: BitwiseCopyable & Sendable>: Sendable {
  private let file: MappedFile
  private nonisolated(unsafe) let start: UnsafePointer<Element>
  let count: Int

  fileprivate init(file: MappedFile, start: UnsafePointer<Element>, count: Int) {
    self.file = file
    self.start = start
    self.count = count
  }

  @inline(__always)
  subscript(index: Int) -> Element {
    precondition(index >= 0 && index < count, "beyond the end of the section")
    return start[index]
  }

  /// Calls `body` with the numbers of a range.
  @inline(__always)
  func withSpan<Result>(_ range: Range<Int>, _ body: (Span<Element>) -> Result) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "beyond the end of the section")
    return body(Span(_unsafeStart: start + range.lowerBound, count: range.count))
  }
}

/// Tells the versions of a file apart that are put in each other's place.
public struct FileIdentity: Equatable, Sendable {
  private let device: UInt
  private let inode: UInt
  private let size: Int
  private let seconds: Int
  private let nanoseconds: Int

  init(_ status: stat) {
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
    size = Int(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }

  /// Whether these are versions of one file, which was written in place, and not of one after the other.
  public func isSameFile(as other: FileIdentity) -> Bool { device == other.device && inode == other.inode }

  /// nil if there is no file.
  public init?(path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.init(status)
  }
}

/// A file that is written, and read again meanwhile. It is closed when it goes away.
struct WritableFile: ~Copyable {
  private let descriptor: Int32

  /// A new file of mode 0640, in place of an old one of that name; as root, of the owner of its folder.
  init(creating path: String) throws(IndexError) {
    unlink(path)
    descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { throw .lastOfSystem(path) }
    // Whatever the umask: others than the owner read it.
    guard fchmod(descriptor, 0o640) == 0 else { throw .lastOfSystem(path) }
    var folder = stat()
    if geteuid() == 0, stat(Self.folder(of: path), &folder) == 0 {
      guard fchown(descriptor, folder.st_uid, folder.st_gid) == 0 else { throw .lastOfSystem(path) }
    }
  }

  deinit { close(descriptor) }

  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  borrowing func write<Element: BitwiseCopyable>(_ elements: ArraySlice<Element>, at offset: Int) throws(IndexError) {
    let failure = elements.withUnsafeBytes { bytes -> IndexError? in
      var written = 0
      while written < bytes.count {
        let count = pwrite(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written, off_t(offset + written))
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return .lastOfSystem("cannot be written") }
        written += count
      }
      return nil
    }
    if let failure { throw failure }
  }

  /// Fills `elements` from the byte `offset` on.
  ///
  /// - Returns: how many there were.
  borrowing func read<Element: BitwiseCopyable>(_ elements: inout [Element], at offset: Int) throws(IndexError) -> Int {
    let (count, failure) = elements.withUnsafeMutableBytes { bytes -> (Int, IndexError?) in
      var filled = 0
      while filled < bytes.count {
        let count = pread(descriptor, bytes.baseAddress.map { $0 + filled }, bytes.count - filled, off_t(offset + filled))
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { return (filled, .lastOfSystem("cannot be read")) }
        if count == 0 { break }
        filled += count
      }
      return (filled, nil)
    }
    if let failure { throw failure }
    return count / MemoryLayout<Element>.stride
  }

  /// Returns when what was written would outlive the machine.
  borrowing func synchronize() throws(IndexError) {
    guard fsync(descriptor) == 0 else { throw .lastOfSystem("cannot be written") }
  }

  /// Puts one file in the place of another, so that at every moment, a crash of the machine included, there is one of them whole.
  static func replace(_ path: String, with new: String) throws(IndexError) {
    guard rename(new, path) == 0 else { throw .lastOfSystem(path) }
    let folder = open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw .lastOfSystem(path) }
    defer { close(folder) }
    guard fsync(folder) == 0 else { throw .lastOfSystem(path) }
  }

  /// Takes a file's name away; it is there as long as somebody has it open.
  static func remove(_ path: String) { unlink(path) }
}

extension IndexError {
  /// Of the call that has just failed.
  static func lastOfSystem(_ what: String) -> IndexError {
    IndexError(errno == ENOENT ? .missing : .system, "\(what): \(String(cString: strerror(errno)))")
  }
}
