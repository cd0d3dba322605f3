// A small file that is read again when it was replaced.

import FoundationEssentials
import Glibc

/// Keeps what identifies the version of a file that was read last. The file is always replaced by a rename, never written in
/// place, so a version is read whole.
struct WatchedFile: Sendable {
  let path: String
  private var version: Version?

  init(path: String) { self.path = path }

  /// The contents, whatever was read before.
  mutating func read() throws(KeyError) -> Data {
    // The version before the contents: if it is replaced in between, it is read once too often and not once too rarely.
    version = Version(of: path)
    if let data = try? Data(contentsOf: URL(filePath: path)) { return data }
    // Foundation has its own words for it; the system's are what an operator knows.
    let reason = access(path, R_OK) == 0 ? "changed while it was read" : String(cString: strerror(errno))
    throw .unreadable(path, reason)
  }

  /// The contents if the file is another one than was read last, else nil.
  mutating func readIfChanged() throws(KeyError) -> Data? {
    guard let found = Version(of: path), found != version else { return nil }
    return try read()
  }

  private struct Version: Equatable {
    let inode: UInt64
    let size: Int64
    let seconds: Int
    let nanoseconds: Int

    init?(of path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      inode = UInt64(status.st_ino)
      size = Int64(status.st_size)
      seconds = status.st_mtim.tv_sec
      nanoseconds = status.st_mtim.tv_nsec
    }
  }
}
