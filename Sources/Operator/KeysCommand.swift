// `chatty keys`: the key pair of the access tokens.

import ArgumentParser
import FoundationEssentials
import Glibc
import ServiceKit

struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "The keys that access tokens are signed with.", subcommands: [Rotate.self])

  struct Rotate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Makes a new key pair and signs with it from now on.",
      discussion: """
        Nobody is logged out: tokens of the last keys are still accepted, and running services take the new key without a \
        restart. It makes the first key pair too. After a private key has leaked, use --withdraw.
        """)

    @Flag(help: "Refuse the tokens of all earlier keys at once. Clients get new ones with their refresh tokens.")
    var withdraw = false

    func run() throws {
      let folder = KeyFolder(path: operatorSettings().keys)
      let key = try folder.rotate(withdrawing: withdraw)
      print("Access tokens are signed with key \(key.kid).")
    }
  }
}

/// The folder with `private.pem`, for chatty-auth alone, and `jwks.json`, for everybody.
struct KeyFolder {
  let path: String

  /// Public keys kept, the present one included. A token lives 15 minutes: with so many it takes that many rotations in a
  /// quarter of an hour to log somebody out.
  private static let kept = 8

  /// How long a service takes at most to read a new `jwks.json`.
  private static let publication: UInt32 = 2

  /// The new key is published before anything is signed with it: no service meets a token whose key it cannot know.
  ///
  /// Rotations go one at a time, or one would publish its key in the place of the other's.
  func rotate(withdrawing: Bool) throws -> JSONWebKey {
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw systemFailure(path) }
    let lock = try locked()
    defer { close(lock) }
    let earlier = withdrawing ? [] : try earlierKeys()
    let key = SigningKey()
    let set = JSONWebKeySet(keys: Array(([key.publicKey] + earlier).prefix(Self.kept)))
    try replace(JSONWebKeySet.fileName, with: set.encoded(), mode: 0o644)
    if !earlier.isEmpty { sleep(Self.publication) }
    try replace(SigningKey.fileName, with: Data(key.pem.utf8), mode: 0o600)
    return key.publicKey
  }

  /// A descriptor of the folder, locked until it is closed (flock(2)); whoever has the lock is waited for.
  private func locked() throws -> Int32 {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw systemFailure(path) }
    while flock(descriptor, LOCK_EX) != 0 {
      if errno == EINTR { continue }
      defer { close(descriptor) }
      throw systemFailure(path)
    }
    return descriptor
  }

  /// The published keys, and the private key's if it was not published.
  private func earlierKeys() throws -> [JSONWebKey] {
    var keys: [JSONWebKey] = []
    if let published = try contents(JSONWebKeySet.fileName) { keys = try JSONWebKeySet(json: published).keys }
    if let pem = try contents(SigningKey.fileName) {
      let key = try SigningKey(pem: String(decoding: pem, as: UTF8.self)).publicKey
      if !keys.contains(key) { keys.insert(key, at: 0) }
    }
    return keys
  }

  /// nil if there is no such file; no link is followed.
  private func contents(_ name: String) throws -> Data? {
    var file = stat()
    guard lstat("\(path)/\(name)", &file) == 0 else { return nil }
    guard file.st_mode & S_IFMT == S_IFREG else { throw Failure("\(path)/\(name) is no file.") }
    do { return try Data(contentsOf: URL(filePath: "\(path)/\(name)")) } catch { throw Failure("Cannot read \(path)/\(name).") }
  }

  /// Writes the file whole beside the old one and renames it over. It gets the old one's owner: run as root, a rotation leaves the
  /// private key to chatty-auth. The first one's owner is the folder's; of a folder of root's it is the user of whose group that is.
  private func replace(_ name: String, with data: Data, mode: mode_t) throws {
    let file = "\(path)/\(name)"
    var old = stat()
    var folder = stat()
    guard stat(path, &folder) == 0 else { throw systemFailure(path) }
    let reader = folder.st_uid == 0 ? Self.user(of: folder.st_gid) : folder.st_uid
    let owner = lstat(file, &old) == 0 ? (user: old.st_uid, group: old.st_gid) : (user: reader, group: folder.st_gid)
    let unfinished = "\(file).unfinished"
    unlink(unfinished)
    let descriptor = open(unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw systemFailure(unfinished) }
    defer { close(descriptor) }
    if geteuid() == 0, fchown(descriptor, owner.user, owner.group) != 0 { throw systemFailure(unfinished) }
    let written = data.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    guard written == data.count, fchmod(descriptor, mode) == 0, fsync(descriptor) == 0, rename(unfinished, file) == 0 else {
      throw systemFailure(unfinished)
    }
  }

  /// The user whose name a group has, as useradd(8) gives each system user a group; otherwise root.
  private static func user(of group: gid_t) -> uid_t {
    guard let found = getgrgid(group), let user = getpwnam(found.pointee.gr_name) else { return 0 }
    return user.pointee.pw_uid
  }

  private func systemFailure(_ path: String) -> Failure { Failure("\(path): \(String(cString: strerror(errno)))") }
}
