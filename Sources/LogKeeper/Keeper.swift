// From standard input to the files, until the input ends or the keeper is told to.

import CLinux
import Glibc
import Logs

struct Keeper: ~Copyable {
  /// What waits for the disk, in bytes.
  private static let capacity = 2 << 20
  /// Between two looks at what is too old, in seconds.
  private static let tidying = 3600

  private var folder: LogFolder
  private var buffer = LineBuffer(capacity: Keeper.capacity) { count in
    let now = LogFolder.text(of: time(nil), "%Y-%m-%dT%H:%M:%SZ")
    return "{\"time\":\"\(now)\",\"level\":\"warning\",\"message\":\"lines of this log were dropped\",\"lines\":\(count)}"
  }
  private var piece = [UInt8](repeating: 0, count: 1 << 16)

  /// What tells the keeper to end, from its beginning on.
  private var signals = sigset_t()

  /// - Parameters: as of `LogFolder`.
  init(logs: String, name: String, retention: Retention) {
    sigemptyset(&signals)
    for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, signal) }
    sigprocmask(SIG_BLOCK, &signals, nil)
    folder = LogFolder(logs: logs, name: name, retention: retention)
  }

  /// Reads whatever the disk does. Ends with the input, or on TERM, INT or HUP when what is in the pipe has been read.
  mutating func run() {
    var watched = [
      pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
      pollfd(fd: signalfd(-1, &signals, Int32(SFD_CLOEXEC)), events: Int16(POLLIN), revents: 0),
    ]
    _ = fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK)
    var tidied = time(nil)
    var isWritten = true
    while true {
      // What the disk has not taken is tried again every second.
      let count = poll(&watched, nfds_t(watched.count), isWritten ? Int32(Self.tidying) * 1000 : 1000)
      if count < 0, errno != EINTR { fail(71, "poll: \(String(cString: strerror(errno)))") }
      let isStopped = watched[1].revents != 0
      let hasEnded = read()
      isWritten = folder.write(&buffer)
      if hasEnded || isStopped { break }
      if time(nil) - tidied >= Self.tidying {
        folder.tidy()
        tidied = time(nil)
      }
    }
    buffer.endLine()
    _ = folder.write(&buffer)
  }

  /// Takes what there is, but not more at once than what a pipe holds.
  ///
  /// - Returns: whether the input has ended.
  private mutating func read() -> Bool {
    for _ in 0..<16 {
      let count = Glibc.read(STDIN_FILENO, &piece, piece.count)
      if count == 0 { return true }
      guard count > 0 else { return errno != EAGAIN && errno != EINTR }
      buffer.append(piece[..<count])
    }
    return false
  }
}
