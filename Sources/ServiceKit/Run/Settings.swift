// The settings of a process: environment variables CHATTY_*, checked once, at the start.

import Glibc
import Logging
import Postgres

/// What every process of Chatty is told by its environment.
public struct Settings: Sendable {
  /// The folder of this stack.
  public let home: String
  /// The pool that this process belongs to: it is in every log line and is the database session's `application_name`.
  public let pool: String
  public let database: ConnectionSettings
  /// Whether the database is in the stack's folder.
  public let hasPrivateCluster: Bool
  public let writeConnections: Int
  /// Requests that a worker handles at once.
  public let requestsInFlight: Int
  /// How long a request may have waited for a worker and still be begun.
  public let queueTime: Duration
  /// How long its work may take.
  public let workTime: Duration
  /// How long a worker that is told to stop goes on at most.
  public let drainTime: Duration
  public let keys: String
  /// The address that people reach this Chatty at: scheme, host and port, nothing behind them. Mail links and tokens carry it.
  public let publicURL: String
  public let logLevel: Logger.Level
  /// The cost of new bcrypt hashes: 2^cost rounds.
  public let passwordCost: Int
  /// Failed logins with one name from one place after which that place has to wait, and for how long; 0 is never.
  public let loginFailures: Int
  public let loginLock: Duration
  /// Mails an hour and purpose that one client address may ask for, and that are sent to one mailbox; 0 is no limit.
  public let mailRate: Int
  /// Days after which accounts that nobody has confirmed are removed; 0: never.
  public let unverifiedDays: Int
  public let recommendationNeighbours: Int
  /// d in n / (n + d), by which the similarity of users with n likes in common is damped; 0 damps nothing.
  public let recommendationDamping: Int
  /// Seconds after which an index of likes that is not up to date is made anew; 0: never by itself.
  public let recommendationInterval: Int
  /// The index of likes.
  public var recommendationIndex: String { "\(home)/recommendations/likes.index" }
  /// The room that one user's images may take, in bytes.
  public let mediaQuota: Int64
  /// Whether decoders of images run in a sandbox of namespaces, which not every machine lets users make.
  public let imageSandbox: Bool
  /// Where mail is handed over; nil: it is written to files under `home`.
  public let smtpURL: String?
  /// A file of certificates to believe a mail server by, in the place of the system's.
  public let smtpCAFile: String?
  public let mailFrom: String

  /// Reads the settings of this process.
  ///
  /// - Parameters:
  ///   - environment: the variables, by name.
  ///   - name: the service's name: its pool, and its database role `chatty_<name>`, unless the environment says otherwise.
  /// - Throws: the first wrong setting.
  public init(_ environment: [String: String], name: String) throws(SettingError) {
    let reader = SettingReader(environment)
    home = try reader.text("CHATTY_HOME", default: ".chatty")
    pool = try reader.text("CHATTY_POOL", default: name)
    let timeout = try reader.integer("CHATTY_STATEMENT_TIMEOUT", 100...600_000, default: 5_000)
    queueTime = .milliseconds(try reader.integer("CHATTY_QUEUE_TIME", 100...3_600_000, default: timeout + 2_000))
    workTime = .milliseconds(try reader.integer("CHATTY_WORK_TIME", 100...3_600_000, default: 2 * timeout))
    drainTime = .milliseconds(try reader.integer("CHATTY_DRAIN_TIME", 100...3_600_000, default: 30_000))
    let url = try reader.databaseURL("CHATTY_DATABASE_URL", default: "postgresql:///chatty?host=\(home)/run")
    hasPrivateCluster = url.contains("host=\(home)/run")
    database = ConnectionSettings(
      url: url,
      user: try reader.text("CHATTY_DATABASE_USER", default: "chatty_\(name)"),
      password: try reader.secret("CHATTY_DATABASE_PASSWORD_FILE"),
      applicationName: "chatty-\(pool)",
      statementTimeout: .milliseconds(timeout),
      // What is done within a transaction need not all be done by the database.
      idleTransactionTimeout: workTime,
      preparesStatements: try reader.choice("CHATTY_PREPARED_STATEMENTS", ["on": true, "off": false], default: true))
    writeConnections = try reader.integer("CHATTY_WRITE_CONNECTIONS", 1...64, default: 4)
    requestsInFlight = try reader.integer("CHATTY_IN_FLIGHT", 1...1024, default: 32)
    keys = try reader.text("CHATTY_KEYS", default: "\(home)/keys")
    publicURL = try reader.origin("CHATTY_PUBLIC_URL", schemes: ["http", "https"]) ?? "http://localhost:8080"
    let levels = Dictionary(uniqueKeysWithValues: Logger.Level.allCases.map { ($0.rawValue, $0) })
    logLevel = try reader.choice("CHATTY_LOG_LEVEL", levels, default: .notice)
    passwordCost = try reader.integer("CHATTY_PASSWORD_COST", 10...15, default: 12)
    loginFailures = try reader.integer("CHATTY_LOGIN_FAILURES", 0...10_000, default: 10)
    loginLock = .seconds(try reader.integer("CHATTY_LOGIN_LOCK", 1...86_400, default: 900))
    mailRate = try reader.integer("CHATTY_RATE_MAILS", 0...100_000, default: 5)
    // Longer than the links of registrations are kept, by which such accounts are known, would be never.
    unverifiedDays = try reader.integer("CHATTY_UNVERIFIED_DAYS", 0...30, default: 7)
    recommendationNeighbours = try reader.integer("CHATTY_RECOMMENDATION_NEIGHBOURS", 1...1000, default: 3)
    recommendationDamping = try reader.integer("CHATTY_RECOMMENDATION_DAMPING", 0...1000, default: 0)
    recommendationInterval = try reader.integer("CHATTY_RECOMMENDATION_INTERVAL", 0...86_400, default: 60)
    mediaQuota = try reader.size("CHATTY_MEDIA_QUOTA", 40 << 20...1 << 50, default: 1 << 30)
    imageSandbox = try reader.choice("CHATTY_IMAGE_SANDBOX", ["on": true, "off": false], default: true)
    smtpURL = try reader.url("CHATTY_SMTP_URL", schemes: ["smtp", "smtps"])
    smtpCAFile = try reader.optionalText("CHATTY_SMTP_CA_FILE")
    mailFrom = try reader.text("CHATTY_MAIL_FROM", default: "Chatty <no-reply@localhost>")
  }

  /// Whether the process was only started to say if it takes its settings (`--check`): it ends with status 0 or 78, and touches nothing.
  public static let isCheck = Array(CommandLine.arguments.dropFirst()) == ["--check"]

  /// The settings of this process, or one line that names the wrong one and exit status 78 (EX_CONFIG, sysexits.h).
  public static func ofProcess(name: String) -> Settings {
    do throws(SettingError) {
      return try Settings(ProcessEnvironment.variables, name: name)
    } catch {
      exitForConfiguration(error.description)
    }
  }
}

/// Says on standard error what is wrong with the configuration and ends the process with status 78.
public func exitForConfiguration(_ message: String) -> Never {
  let line = "chatty: \(message)\n"
  write(STDERR_FILENO, line, line.utf8.count)
  exit(78)
}

/// A setting that cannot be used.
public struct SettingError: Error, CustomStringConvertible {
  public let name: String
  public let problem: String
  public var description: String { "\(name) \(problem)" }

  public init(_ name: String, _ problem: String) {
    self.name = name
    self.problem = problem
  }
}

/// Reads one variable at a time. An empty one counts as not set.
private struct SettingReader {
  private let environment: [String: String]

  init(_ environment: [String: String]) { self.environment = environment }

  private func value(_ name: String) -> String? {
    guard let value = environment[name], !value.isEmpty else { return nil }
    return value
  }

  func text(_ name: String, default fallback: String) throws(SettingError) -> String {
    try optionalText(name) ?? fallback
  }

  func optionalText(_ name: String) throws(SettingError) -> String? {
    guard let text = value(name) else { return nil }
    guard !text.utf8.contains(where: { $0 < 0x20 }) else { throw SettingError(name, "holds a control character") }
    return text
  }

  func integer(_ name: String, _ range: ClosedRange<Int>, default fallback: Int) throws(SettingError) -> Int {
    guard let text = value(name) else { return fallback }
    guard let number = Int(text), range.contains(number) else {
      throw SettingError(name, "is '\(text)', not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// A number of bytes, or of kibibytes, mebibytes or gibibytes with k, m or g behind it.
  func size(_ name: String, _ range: ClosedRange<Int64>, default fallback: Int64) throws(SettingError) -> Int64 {
    guard let text = value(name) else { return fallback }
    let shift = ["k": 10, "m": 20, "g": 30][text.suffix(1).lowercased()]
    guard let number = Int64(shift == nil ? text[...] : text.dropLast()), number >= 0, number <= Int64.max >> 30,
      range.contains(number << (shift ?? 0))
    else {
      throw SettingError(name, "is '\(text)', not a size from \(range.lowerBound >> 20)m to \(range.upperBound >> 30)g")
    }
    return number << (shift ?? 0)
  }

  func choice<Value>(_ name: String, _ choices: [String: Value], default fallback: Value) throws(SettingError) -> Value {
    guard let text = value(name) else { return fallback }
    guard let choice = choices[text] else {
      throw SettingError(name, "is '\(text)', not one of \(choices.keys.sorted().joined(separator: ", "))")
    }
    return choice
  }

  func url(_ name: String, schemes: [String]) throws(SettingError) -> String? {
    guard var text = value(name) else { return nil }
    guard schemes.contains(where: { text.hasPrefix("\($0)://") && text.utf8.count > $0.utf8.count + 3 }),
      !text.utf8.contains(where: { $0 <= 0x20 })
    else {
      throw SettingError(name, "is not a \(schemes.joined(separator: " or ")) address")
    }
    while text.hasSuffix("/") { text.removeLast() }
    guard !text.hasSuffix(":") else { throw SettingError(name, "names no host") }
    return text
  }

  /// A URL that names a host and maybe a port, and nothing more: routes begin at the root of the host.
  func origin(_ name: String, schemes: [String]) throws(SettingError) -> String? {
    guard let url = try url(name, schemes: schemes) else { return nil }
    let rest = url.utf8.drop { $0 != UInt8(ascii: ":") }.dropFirst("://".utf8.count)
    guard !rest.contains(where: { "/?#@\\".utf8.contains($0) }) else {
      throw SettingError(name, "is '\(url)', which is more than a scheme, a host and a port: Chatty has to be at the root of its host")
    }
    return url
  }

  /// The text itself may hold a password, and is not shown.
  func databaseURL(_ name: String, default fallback: String) throws(SettingError) -> String {
    let text = try text(name, default: fallback)
    guard ConnectionString.isValid(text) else { throw SettingError(name, "is not a PostgreSQL address (postgresql://…)") }
    return text
  }

  /// The first line of the file that the variable names.
  func secret(_ name: String) throws(SettingError) -> String? {
    guard let path = value(name) else { return nil }
    guard let file = fopen(path, "r") else { throw SettingError(name, "names \(path): \(String(cString: strerror(errno)))") }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 1024)
    let secret = fgets(&line, Int32(line.count), file) == nil ? [] : line.prefix { $0 != 0 && $0 != 10 }
    guard !secret.isEmpty else { throw SettingError(name, "names \(path), which is empty") }
    return String(decoding: secret.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// The environment of this process.
enum ProcessEnvironment {
  static var variables: [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      if let equals = text.firstIndex(of: "=") { variables[String(text[..<equals])] = String(text[text.index(after: equals)...]) }
      next += 1
    }
    return variables
  }
}
