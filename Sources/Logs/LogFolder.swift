// The files of one log: `current`, and `@TIME` for each that was written before, in a folder beside those of the stack's other logs.

import Glibc

/// Writes a log. Several processes may write logs beside each other; one of them each.
public struct LogFolder: ~Copyable {
  /// The disk is left so much, in bytes: what is left last is the database's, not the logs'.
  private static let floor: UInt64 = 32 << 20

  /// The folder of all logs.
  private let logs: String
  private let folder: String
  private let retention: Retention
  private var descriptor: Int32 = -1
  private var bytes = 0
  /// When it was last written to, in seconds since 1970.
  private var modified = 0
  private var roomChecked = 0
  private var hasRoom = true

  /// - Parameters:
  ///   - logs: the folder of all logs; must exist.
  ///   - name: of this log, the folder in it.
  public init(logs: String, name: String, retention: Retention) {
    self.logs = logs
    folder = "\(logs)/\(name)"
    self.retention = retention
    mkdir(folder, 0o755)
    _ = open()
    tidy()
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Writes as much as the disk takes now. The rest stays in the buffer.
  ///
  /// - Returns: whether all is written.
  public mutating func write(_ buffer: inout LineBuffer) -> Bool {
    while !buffer.waiting.isEmpty {
      guard diskHasRoom() else { return false }
      guard descriptor >= 0 || open() else { return false }
      let piece = piece(of: buffer.waiting)
      if bytes > 0, piece == 0 || Retention.endsDay(modified: modified, now: time(nil)) {
        rotate()
        continue
      }
      let count = buffer.waiting.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, max(piece, 1)) }
      guard count > 0 else {
        if count < 0, errno == EINTR { continue }
        return false
      }
      bytes += count
      modified = time(nil)
      buffer.remove(count)
    }
    return true
  }

  /// Removes what is too old or too much, of all logs.
  public func tidy() {
    var old: [LogFile] = []
    var current: [Int] = []
    for log in Self.names(in: logs) {
      for name in Self.names(in: "\(logs)/\(log)") where name == "current" || name.hasPrefix("@") {
        let path = "\(logs)/\(log)/\(name)"
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
        if name == "current" {
          current.append(Int(status.st_size))
        } else {
          old.append(LogFile(path: path, bytes: Int(status.st_size), modified: status.st_mtim.tv_sec))
        }
      }
    }
    // Another process may have removed one: that it is gone is what matters.
    for file in retention.superfluous(old, current: current, now: time(nil)) { unlink(file.path) }
  }

  /// Whole lines of the beginning that fit into the present file, in bytes; into an empty one at least one line.
  private func piece(of waiting: [UInt8]) -> Int {
    let room = retention.fileLimit - bytes
    if waiting.count <= room { return waiting.count }
    let end = UInt8(ascii: "\n")
    if let last = waiting.prefix(max(room, 0)).lastIndex(of: end) { return last + 1 }
    return bytes > 0 ? 0 : (waiting.firstIndex(of: end) ?? waiting.count - 1) + 1
  }

  private mutating func open() -> Bool {
    descriptor = Glibc.open("\(folder)/current", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o644)
    var status = stat()
    guard descriptor >= 0, fstat(descriptor, &status) == 0 else { return false }
    bytes = Int(status.st_size)
    modified = status.st_mtim.tv_sec
    return true
  }

  /// The present file becomes an old one. If it cannot be renamed it goes on being written to.
  private mutating func rotate() {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let micros = String(now.tv_nsec / 1000)
    let fraction = String(repeating: "0", count: 6 - micros.utf8.count) + micros
    guard rename("\(folder)/current", "\(folder)/@\(Self.text(of: now.tv_sec, "%Y%m%dT%H%M%S")).\(fraction)Z") == 0 else {
      bytes = 0
      return
    }
    close(descriptor)
    _ = open()
    tidy()
  }

  /// Looked at once a second.
  private mutating func diskHasRoom() -> Bool {
    let now = time(nil)
    guard now != roomChecked else { return hasRoom }
    roomChecked = now
    var status = statvfs()
    hasRoom = statvfs(folder, &status) != 0 || UInt64(status.f_bavail) * UInt64(status.f_frsize) >= Self.floor
    return hasRoom
  }

  private static func names(in folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// A time of UTC as strftime(3) writes it.
  public static func text(of time: Int, _ format: String) -> String {
    var time = time
    var parts = tm()
    gmtime_r(&time, &parts)
    var text = [CChar](repeating: 0, count: 64)
    let length = strftime(&text, text.count, format, &parts)
    return String(decoding: text.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
