// One build at a time.

import Glibc

/// Held by whoever builds an index in a folder, whichever process and user that is; the kernel releases it when its holder dies.
public struct BuildLock: ~Copyable {
  private let descriptor: Int32

  /// Takes the lock of the folder that `path` is in.
  ///
  /// - Parameter waiting: whether to wait for whoever has it.
  /// - Throws: `busy` if somebody has it, else `missing` or `system`.
  public init(path: String, waiting: Bool) throws(IndexError) {
    // The folder itself is locked (flock(2)): a file for that would belong to whoever came first, and the next could not open it.
    let folder = WritableFile.folder(of: path)
    descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .lastOfSystem(folder) }
    while flock(descriptor, waiting ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
      if errno == EINTR { continue }
      throw errno == EWOULDBLOCK ? IndexError(.busy, "another build is at work") : .lastOfSystem(folder)
    }
  }

  deinit { close(descriptor) }
}
