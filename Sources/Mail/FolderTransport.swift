// Mail for those who have no mail server: a file each, to be read by people and tests.

import FoundationEssentials
import Glibc

/// Writes each mail as `NAME.eml` into a folder. A file that can be seen is whole, and delivering a mail again replaces it.
public struct FolderTransport: MailTransport {
  private let folder: String

  /// - Parameter folder: must exist and be writable.
  public init(folder: String) { self.folder = folder }

  public nonisolated func deliver(_ message: MailMessage, name: String) throws(MailError) {
    let unfinished = "\(folder)/.\(name).unfinished"
    do {
      try Data(message.encoded()).write(to: URL(filePath: unfinished))
    } catch {
      throw .unavailable("cannot write a file in \(folder)")
    }
    // A mail holds a secret link: it is for the owner of the folder alone.
    guard chmod(unfinished, 0o600) == 0, rename(unfinished, "\(folder)/\(name).eml") == 0 else {
      throw .unavailable("cannot rename a file in \(folder): \(String(cString: strerror(errno)))")
    }
  }
}
