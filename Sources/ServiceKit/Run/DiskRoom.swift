// Whether there is room on the disks for what a stack writes.

import EventLoop
import Glibc

/// How much room the folders of a stack have. Looked at once a second at most.
///
/// PostgreSQL stops everything when it cannot write its log (PANIC), reads too. So while there is little room left nothing is given to it
/// to write: then it never comes to that by what Chatty does.
@Worker
public final class DiskRoom {
  /// Less than this is no room, in bytes: what is written by requests under way and by PostgreSQL itself, several times over. deploy/lib/room.sh
  /// has it too.
  public nonisolated static let least: UInt64 = 96 << 20

  private let home: String
  private let hasPrivateCluster: Bool
  private let onChange: @Worker (Bool) -> Void
  private var looked: Instant?
  private var hasRoom = true

  /// - Parameters:
  ///   - home: the stack's folder.
  ///   - hasPrivateCluster: whether the database is in it.
  ///   - onChange: is told when room has gone (false) and when it is there again.
  public init(home: String, hasPrivateCluster: Bool, onChange: @escaping @Worker (Bool) -> Void = { _ in }) {
    self.home = home
    self.hasPrivateCluster = hasPrivateCluster
    self.onChange = onChange
  }

  /// For images and other files under the stack's folder.
  public var isEnoughForFiles: Bool {
    let now = Instant.now
    if let looked, now < looked.advanced(by: .seconds(1)) { return hasRoom }
    looked = now
    let had = hasRoom
    hasRoom = Self.hasRoom(in: hasPrivateCluster ? ["\(home)/postgres", "\(home)/media"] : ["\(home)/media"])
    if had != hasRoom { onChange(hasRoom) }
    return hasRoom
  }

  /// For changes of the database. Of one that is elsewhere nothing is known: it speaks for itself.
  public var isEnoughForDatabase: Bool { !hasPrivateCluster || isEnoughForFiles }

  /// Of a folder that cannot be looked at nothing is known either, and who writes there is told.
  package nonisolated static func hasRoom(in folders: [String], least: UInt64 = DiskRoom.least) -> Bool {
    folders.allSatisfy { folder in
      var status = statvfs()
      guard statvfs(folder, &status) == 0 else { return true }
      return UInt64(status.f_bavail) * UInt64(status.f_frsize) >= least
    }
  }
}
