// Opening one connection without blocking: the targets of its plan one after another, each with a time of its own.

import CPostgres
import EventLoop

@Worker
final class Dialer {
  enum End: ~Copyable {
    case open(Handle)
    /// No target gave a session: each, and why not.
    case failed(String)
  }

  private let settings: ConnectionSettings
  private var complete: (@Worker (consuming End) -> Void)?
  private var plan: ConnectionPlan?
  private var targets: [ConnectionPlan.Target] = []
  private var failures: [String] = []
  private var handle: Handle?
  private var timer: TimerID?
  /// The socket that the loop watches.
  private var watched: Int32?

  /// Targets that were silent, and until when others are tried before them: a host that is away costs this process its time once
  /// in a while, and not each of its connections. Behind the others they are tried all the same.
  private static var silent: [ConnectionPlan.Target: Instant] = [:]
  private static let silenceRemembered = Duration.seconds(300)

  /// - Parameter complete: called once, unless `cancel` comes first.
  init(_ settings: ConnectionSettings, complete: @escaping @Worker (consuming End) -> Void) {
    self.settings = settings
    self.complete = complete
  }

  func start() {
    do throws(PostgresError) {
      let plan = try ConnectionPlan(settings)
      self.plan = plan
      targets = plan.targets
      tryNext()
    } catch {
      end(.failed(error.message))
    }
  }

  func cancel() {
    complete = nil
    hangUp()
  }

  private func end(_ end: consuming End) {
    let complete = complete
    cancel()
    complete?(end)
  }

  private func tryNext() {
    guard complete != nil, let plan else { return }
    guard let place = targets.firstIndex(where: { !Self.isSilent($0) }) ?? targets.indices.first else {
      return end(.failed(failures.joined(separator: "; ")))
    }
    let target = targets.remove(at: place)
    guard let name = target.nameToLookUp else { return dial(target, plan) }
    HostNames.shared.addresses(of: name, within: plan.patience) { [weak self] answer in
      guard let self else { return }
      switch answer {
      case .success(let addresses): targets.insert(contentsOf: target.at(addresses), at: place)
      case .failure(let error):
        Self.remember(target)
        failures.append(error.message)
      }
      tryNext()
    }
  }

  private func dial(_ target: ConnectionPlan.Target, _ plan: ConnectionPlan) {
    guard let handle = Handle(plan.parameters(for: target)) else { return end(.failed("out of memory")) }
    self.handle = consume handle
    if PQstatus(self.handle?.pointer) == CONNECTION_BAD { return failed() }
    timer = Loop.shared.after(plan.patience) { [self] in
      Self.remember(target)
      failures.append("\(target.description): no answer within \(plan.patience)")
      hangUp()
      tryNext()
    }
    awaitProgress(.writable)
  }

  private func awaitProgress(_ readiness: Readiness) {
    guard let descriptor = handle?.descriptor, descriptor >= 0 else { return failed() }
    watched = descriptor
    Loop.shared.watch(descriptor, readiness) { [self] _ in progress() }
  }

  private func progress() {
    guard let connection = handle?.pointer else { return }
    // The library may go on with another socket (without TLS after a server that has none).
    unwatch()
    switch PQconnectPoll(connection) {
    case PGRES_POLLING_READING: awaitProgress(.readable)
    case PGRES_POLLING_WRITING: awaitProgress(.writable)
    case PGRES_POLLING_OK: opened()
    default: failed()
    }
  }

  private func opened() {
    guard let handle = handle.take() else { return }
    handle.beginSession()
    end(.open(handle))
  }

  private func failed() {
    let refusal = handle?.refusal
    failures.append(refusal?.message ?? "closed")
    hangUp()
    if refusal?.isFinal == true { targets = [] }
    tryNext()
  }

  private func hangUp() {
    if let timer { Loop.shared.cancel(timer) }
    timer = nil
    unwatch()
    handle = nil
  }

  private func unwatch() {
    if let watched { Loop.shared.unwatch(watched) }
    watched = nil
  }

  private static func isSilent(_ target: ConnectionPlan.Target) -> Bool {
    guard let until = silent[target.place] else { return false }
    if until < .now { silent[target.place] = nil }
    return until >= .now
  }

  private static func remember(_ target: ConnectionPlan.Target) {
    silent[target.place] = Instant.now.advanced(by: silenceRemembered)
  }
}
