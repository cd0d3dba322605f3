// Where decoders run: bubblewrap's command line.

import Glibc

/// What a program is wrapped into, so that whoever gets the better of it has got nothing.
///
/// In the sandbox there are the program, the libraries of the system and of Swift, and the descriptors that it was given: no other file, no
/// folder to write to, no network, no other process and no user but one that owns nothing. It can gain no privileges
/// (PR_SET_NO_NEW_PRIVS), start no program and use no call of the kernel that a decoder has no need of (`SystemCallFilter`). bubblewrap does
/// it with namespaces, a user's among them, so that it takes no privileges.
package enum Sandbox: Sendable {
  case namespaces
  /// For a machine that gives users no namespaces: no new privileges, and everything else that this process's user may do.
  case none

  /// The command line that runs `command` within.
  ///
  /// - Parameter first: the number of descriptors that the program gets. bubblewrap inherits two more, which it keeps to itself: the filter
  ///   of system calls, and a file in which it says how the program has ended.
  package func wrapping(_ command: [String], passing first: Int32) -> [String] {
    switch self {
    case .none:
      ["/usr/bin/setpriv", "--no-new-privs", "--"] + command
    case .namespaces:
      Self.bubblewrap + ["--seccomp", "\(first)", "--json-status-fd", "\(first + 1)", "--ro-bind", command[0], command[0]]
        + ["--remount-ro", "/", "--"] + command
    }
  }

  private static let bubblewrap =
    [
      "/usr/bin/bwrap", "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--cap-drop", "ALL",
      "--new-session", "--die-with-parent", "--chdir", "/", "--ro-bind", "/usr/lib", "/usr/lib",
      "--ro-bind-try", "/usr/lib64", "/usr/lib64", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
      "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
    ] + swiftLibraries.flatMap { ["--ro-bind", $0, $0, "--setenv", "LD_LIBRARY_PATH", $0] }

  /// The folder from which this process has Swift's libraries, and a program of the same build has them too; none if it is one of the
  /// system's or they are in the executable.
  private static var swiftLibraries: [String] {
    guard let maps = fopen("/proc/self/maps", "r") else { return [] }
    defer { fclose(maps) }
    var line = [CChar](repeating: 0, count: 2 * Int(PATH_MAX))
    while fgets(&line, Int32(line.count), maps) != nil {
      let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasSuffix("/libswiftCore.so"), let start = text.firstIndex(of: "/"), let end = text.lastIndex(of: "/") else { continue }
      let folder = String(text[start..<end])
      return folder.hasPrefix("/usr/lib/") ? [] : [folder]
    }
    return []
  }
}
