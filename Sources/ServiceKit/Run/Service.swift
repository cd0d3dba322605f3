// A service's process: from its environment to the last request of its drain.

import EventLoop
import FastCGI
import Glibc
import Logging
@_exported import Postgres

/// What makes one service different from another.
@Worker
public protocol ServiceDefinition: SendableMetatype {
  /// The name of its pool, and of its database role after `chatty_`.
  static var name: String { get }
  static var routes: [Route] { get }
  /// Called once before the first request, for what must be there then: a service that needs a key reads it here.
  static func prepare(_ settings: Settings) throws(SettingError)
}

extension ServiceDefinition {
  public static func prepare(_ settings: Settings) throws(SettingError) {}
}

/// Runs a service as a FastCGI worker on descriptor 0 until it is told to stop.
public enum Service {
  public static func run(_ definition: any ServiceDefinition.Type) -> Never {
    Loop.shared.run { await serve(definition) }
    exit(EXIT_SUCCESS)
  }

  @Worker
  private static func serve(_ definition: any ServiceDefinition.Type) async {
    var stopping: UnsafeContinuation<Void, Never>?
    var stopRequested = false
    // All that ask a process to end: multiwatch 1.0 sends its children QUIT where it was told to send TERM.
    Loop.shared.onSignals([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2]) { _ in
      stopRequested = true
      stopping?.resume()
      stopping = nil
    }
    let settings = Settings.ofProcess(name: definition.name)
    if Settings.isCheck { exit(EXIT_SUCCESS) }
    JSONLogHandler.bootstrap(level: settings.logLevel)
    Log.process = Logger(label: "chatty")
    Log.process[metadataKey: "service"] = .string(settings.pool)

    let client = PostgresClient(settings.database, writeConnections: settings.writeConnections)
    client.onFailure { error in Log.process.warning("database connection failed", error: error) }
    let room = DiskRoom(home: settings.home, hasPrivateCluster: settings.hasPrivateCluster) { isEnough in
      let message = isEnough ? "there is room again" : "no room: what would be written is refused"
      Log.process.warning("\(message)", metadata: ["home": .string(settings.home)])
    }
    let dispatcher: Dispatcher
    do {
      try definition.prepare(settings)
      dispatcher = Dispatcher(
        routes: definition.routes, settings: settings, database: Database(client, room: room),
        verifier: try TokenVerifier(keys: settings.keys, issuer: settings.publicURL))
    } catch let error as KeyError {
      exitForConfiguration("CHATTY_KEYS is of no use: \(error)")
    } catch {
      exitForConfiguration("\(error)")
    }

    var limits = Responder.Limits()
    limits.requestsInFlight = settings.requestsInFlight
    limits.drainTimeout = settings.drainTime
    let responder = Responder(limits: limits) { request in await dispatcher.respond(to: request) }
    client.connect()
    responder.start()
    Log.process.info("started")
    if !stopRequested { await withUnsafeContinuation { stopping = $0 } }
    Log.process.info("draining")
    await responder.drain()
    client.close()
    Log.process.info("stopped")
    Loop.shared.stop()
  }
}
