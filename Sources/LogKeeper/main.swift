// chatty-log: keeps the log of a service, and lets no service wait for its log.
//
//     chatty-log keep TOTAL_MB DAYS LOGS NAME   writes standard input to LOGS/NAME/current. All logs under LOGS together take TOTAL_MB
//                                               megabytes at most, and no line of them is kept longer than DAYS days
//     chatty-log run PROGRAM [ARGUMENT…]        becomes PROGRAM, whose standard output and error, where they are pipes, never make it wait:
//                                               what a full pipe does not take is refused (EAGAIN)
//
// Ends with status 64 (EX_USAGE) for other arguments, 127 for a program that cannot be run.

import Glibc
import Logs

func fail(_ status: Int32, _ text: String) -> Never {
  let line = "chatty-log: \(text)\n"
  write(STDERR_FILENO, line, line.utf8.count)
  exit(status)
}

/// Never returns.
func run(_ command: [String]) -> Never {
  for descriptor in [STDOUT_FILENO, STDERR_FILENO] {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { continue }
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    // F_SETPIPE_SZ: what is written while the keeper gets no processor time. Not more than any user may have (pipe(7)).
    _ = fcntl(descriptor, 1031, Int32(1 << 20))
  }
  var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
  arguments.append(nil)
  execvp(command[0], &arguments)
  fail(127, "\(command[0]): \(String(cString: strerror(errno)))")
}

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "run" where arguments.count > 1:
  run(Array(arguments.dropFirst()))
case "keep" where arguments.count == 5:
  guard let megabytes = Int(arguments[1]), (1...1_000_000).contains(megabytes) else {
    fail(64, "\(arguments[1]) is no number of megabytes")
  }
  guard let days = Int(arguments[2]), (1...36_500).contains(days) else { fail(64, "\(arguments[2]) is no number of days") }
  var keeper = Keeper(logs: arguments[3], name: arguments[4], retention: Retention(total: megabytes * 1_000_000, days: days))
  keeper.run()
default:
  fail(64, "takes keep TOTAL_MB DAYS LOGS NAME, or run PROGRAM [ARGUMENT…]")
}
