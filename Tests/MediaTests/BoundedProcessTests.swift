import Foundation
import Media
import TestSupport
import Testing

/// Whatever is used up here is used up by a child process: in this one all the tests run, and nothing is ever measured.
@Suite("a program within limits")
struct BoundedProcessTests {
  /// How a program has ended, and what it has written.
  private struct Run {
    let outcome: BoundedProcess.Outcome?
    let output: String
  }

  /// Runs a program of Python's. None of the tests comes near a limit that it does not give.
  private static func run(
    _ program: String, memory: Int = 4 << 30, seconds: Int = 600, fileSize: Int = 1 << 30, wallTime: Duration = .seconds(600)
  ) async throws -> Run {
    let output = try OutputFile(in: try TemporaryFolder())
    let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
    defer { close(nothing) }
    let outcome = try await onLoop {
      await BoundedProcess.run(
        ["/usr/bin/python3", "-c", "import os, resource, signal, sys, time\n\(program)"], environment: ["LC_ALL=C.UTF-8", "MARK=x"],
        descriptors: [nothing, output.descriptor, output.descriptor],
        limits: BoundedProcess.Limits(memory: memory, seconds: seconds, fileSize: fileSize, wallTime: wallTime))
    }
    return Run(outcome: outcome, output: output.text)
  }

  @Test("how it ends is told: its status, or the signal")
  func outcomes() async throws {
    #expect(try await Self.run("pass").outcome == .exited(0))
    #expect(try await Self.run("sys.exit(7)").outcome == .exited(7))
    #expect(try await Self.run("os.kill(os.getpid(), signal.SIGTERM)").outcome == .killed(SIGTERM))
  }

  @Test("memory beyond the limit is not there")
  func memory() async throws {
    // Addresses, which is what the limit counts: not a page of them is touched.
    let program = """
      import mmap
      try:
        mmap.mmap(-1, 1 << 29)
      except OSError as error:
        os._exit(error.errno)
      """
    #expect(try await Self.run(program).outcome == .exited(0))
    #expect(try await Self.run(program, memory: 1 << 28).outcome == .exited(ENOMEM))
  }

  @Test("who computes for longer than the limit is ended, and killed if that is not enough")
  func processorTime() async throws {
    // Without the limit it would end by itself.
    let computing = "while time.process_time() < 20: pass"
    #expect(try await Self.run(computing, seconds: 1).outcome == .killed(SIGXCPU))
    let deaf = "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n\(computing)"
    #expect(try await Self.run(deaf, seconds: 1).outcome == .killed(SIGKILL))
  }

  @Test("a file grows to the limit and no further")
  func fileSize() async throws {
    let writing = "for _ in range(20): os.write(1, b'x' * 1000)"
    let ended = try await Self.run("signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n\(writing)", fileSize: 10_500)
    #expect(ended.outcome == .killed(SIGXFSZ) && ended.output.utf8.count == 10_500)
    let deaf = """
      signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
      try:
        \(writing)
      except OSError as error:
        os._exit(error.errno)
      """
    let refused = try await Self.run(deaf, fileSize: 10_500)
    #expect(refused.outcome == .exited(EFBIG) && refused.output.utf8.count == 10_500)
    #expect(try await Self.run("os.write(1, b'x' * 10500)", fileSize: 10_500).outcome == .exited(0))
  }

  @Test("who is not done in time is killed, whatever signals it ignores, and what it has left to do is not done")
  func wallTime() async throws {
    let program = """
      for number in set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)
      time.sleep(60)
      print('done')
      """
    let run = try await Self.run(program, wallTime: .milliseconds(300))
    #expect(run.outcome == .timedOut && run.output.isEmpty)
    #expect(try await Self.run("os.kill(os.getpid(), signal.SIGSTOP)", wallTime: .milliseconds(300)).outcome == .timedOut)
  }

  @Test("it has the descriptors, the environment and the signals that it is given, and nothing of ours")
  func surroundings() async throws {
    let ours = open("/dev/null", O_RDONLY)  // Without O_CLOEXEC.
    defer { close(ours) }
    let program = """
      def is_open(number):
        try: os.fstat(number)
        except OSError: return False
        return True
      print([number for number in range(64) if is_open(number)])
      print(sorted(set(os.environ) - {'LD_LIBRARY_PATH'}), os.getcwd())
      print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
      print([resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)])
      """
    let run = try await Self.run(program)
    #expect(
      run.output == """
        [0, 1, 2]
        ['LC_ALL', 'MARK', 'PWD'] /
        set()
        [(64, 64), (0, 0)]

        """)
  }

  @Test("what cannot be started is status 127, as prlimit says it")
  func missing() async throws {
    let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { close(nothing) }
    let outcome = try await onLoop {
      await BoundedProcess.run(
        ["/nowhere/program"], environment: [], descriptors: [nothing, nothing, nothing],
        limits: BoundedProcess.Limits(memory: 1 << 30, seconds: 10, fileSize: 1 << 20, wallTime: .seconds(600)))
    }
    #expect(outcome == .exited(127))
  }

  // MARK: The sandbox

  /// What the probes below print of a call that may not work.
  private static let attempt = """
    def attempt(what, call):
      try: print(what, call())
      except OSError as error: print(what, error.strerror)
    """

  @Test("of files it sees libraries and itself, and it can write none")
  func files() async throws {
    let folder = try TemporaryFolder()
    try folder.write("secret", to: "secret")
    let program = """
      \(Self.attempt)
      for path in ('/etc/passwd', '/proc/self/environ', '/proc/1/status', '/dev/null', '/tmp', '/root', '/home', '/usr/bin/sh', '/bin/sh',
          '\(folder.path)/secret', '\(CommandLine.arguments[0])'):
        attempt('open', lambda: os.open(path, os.O_RDONLY))
      for path in ('/new', '/etc/new', '/usr/lib/new', '/usr/bin/new'):
        attempt('make', lambda: os.open(path, os.O_CREAT | os.O_WRONLY))
      print(sorted(set(os.listdir('/')) - {os.environ.get('LD_LIBRARY_PATH', '//').split('/')[1]}), sorted(os.listdir('/usr/bin')))
      """
    #expect(
      try await Self.run(program).output
        == String(repeating: "open No such file or directory\n", count: 11) + String(repeating: "make Read-only file system\n", count: 4)
        + "['etc', 'lib', 'lib64', 'usr'] ['python3']\n")
  }

  @Test("it reaches no other process and no network, and gains nothing")
  func reach() async throws {
    let program = """
      import ctypes, socket, threading
      \(Self.attempt)
      libc = ctypes.CDLL(None, use_errno=True)
      def call(name, *arguments):
        if getattr(libc, name)(*arguments) < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
      attempt('kill', lambda: os.kill(\(getpid()), 0))
      attempt('internet', lambda: socket.socket(socket.AF_INET))
      attempt('unix', lambda: socket.socket(socket.AF_UNIX))
      attempt('fork', lambda: os.fork())
      attempt('unshare', lambda: call('unshare', 0x10000000))
      attempt('ptrace', lambda: call('ptrace', 0, 0, 0, 0))
      attempt('mount', lambda: call('mount', b'x', b'/', b'tmpfs', 0, None))
      attempt('setuid', lambda: os.setuid(0))
      print('user', os.getuid(), os.getgid(), os.getgroups() in ([], [65534]))
      print('no new privileges', libc.prctl(39, 0, 0, 0, 0))
      thread = threading.Thread(target=lambda: print('a thread'))
      thread.start()
      thread.join()
      """
    #expect(
      try await Self.run(program).output == """
        kill No such process
        internet Operation not permitted
        unix Operation not permitted
        fork Operation not permitted
        unshare Operation not permitted
        ptrace Operation not permitted
        mount Operation not permitted
        setuid Invalid argument
        user 65534 65534 True
        no new privileges 1
        a thread

        """)
  }

  @Test("without namespaces it gains no privileges all the same")
  func withoutNamespaces() async throws {
    let output = try OutputFile(in: try TemporaryFolder())
    let child = try ChildProcess(
      Sandbox.none.wrapping(["/usr/bin/grep", "NoNewPrivs", "/proc/self/status"], passing: 3), environment: [:], input: STDIN_FILENO,
      output: output.descriptor)
    #expect(try await child.waitForExit() == 0)
    #expect(output.text == "NoNewPrivs:\t1\n")
  }
}
