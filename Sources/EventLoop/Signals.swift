// Signals as readable events. They are blocked for good and read from a signalfd(2), so that none can interrupt a system
// call of libfcgi or libpq, which do not retry after EINTR, and none is lost between a check and a wait.

import CLinux
import Glibc

extension Loop {
  /// Calls `handler` on the loop for each of `signals` that arrives. Call it before any other thread exists: a thread
  /// inherits the mask.
  ///
  /// A child process inherits the blocked mask too; who spawns one resets it.
  @Worker public func onSignals(_ signals: [Int32], handler: @escaping @Worker (Int32) -> Void) {
    var mask = sigset_t()
    sigemptyset(&mask)
    for signal in signals { sigaddset(&mask, signal) }
    pthread_sigmask(SIG_BLOCK, &mask, nil)
    let descriptor = signalfd(-1, &mask, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
    watch(descriptor, .readable) { _ in
      var information = signalfd_siginfo()
      while read(descriptor, &information, MemoryLayout<signalfd_siginfo>.size) == MemoryLayout<signalfd_siginfo>.size {
        handler(Int32(information.ssi_signo))
      }
    }
  }
}
