// What counts as a username.

import Postgres

/// The rules for the name of an account. There is no `@` in one, so that a login tells it from an e-mail address.
public enum Username {
  public static let length = 3...32

  /// What is wrong with a name that somebody wants; nil if nothing is.
  public static func flaw(in name: String) -> FieldFlaw? {
    flawOfShape(name) ?? (isReserved(name) ? .value("This name is reserved") : nil)
  }

  /// As `flaw`, for an operator, who may give reserved names away.
  public static func flawOfShape(_ name: String) -> FieldFlaw? {
    let scalars = name.unicodeScalars
    if scalars.count < length.lowerBound { return .tooShort(length.lowerBound) }
    if scalars.count > length.upperBound { return .tooLong(length.upperBound) }
    let isPlain = scalars.allSatisfy { isAlphanumeric($0) || $0 == "_" || $0 == "." || $0 == "-" }
    // One that begins with `-` is an option to many a program, and one of dots alone a folder.
    guard isPlain, let first = scalars.first, isAlphanumeric(first) else { return .pattern("^[A-Za-z0-9][A-Za-z0-9_.-]*$") }
    return nil
  }

  /// What two names are compared by: two with the same key cannot both be had (sql/0025_names.sql).
  public static func key(_ name: Query) -> Query { "translate(lower(\(name) COLLATE \"C\"), '._-', '')" }

  /// As the database's `key`.
  static func key(_ name: String) -> String {
    var key = ""
    for scalar in name.unicodeScalars where scalar != "." && scalar != "_" && scalar != "-" {
      key.unicodeScalars.append("A"..."Z" ~= scalar ? Unicode.Scalar(UInt8(scalar.value) | 0x20) : scalar)
    }
    return key
  }

  /// A name that people would take for the operator's or for the system's, however it is written. A plural counts as its singular.
  private static func isReserved(_ name: String) -> Bool {
    let key = key(name)
    return reserved.contains(key) || (key.hasSuffix("s") && reserved.contains(String(key.dropLast())))
  }

  private static func isAlphanumeric(_ scalar: Unicode.Scalar) -> Bool {
    "A"..."Z" ~= scalar || "a"..."z" ~= scalar || "0"..."9" ~= scalar
  }

  /// Keys of names: who runs a service, the mailboxes of RFC 2142, the first parts of our paths, and words that programs take for no name.
  private static let reserved: Set<String> = [
    "admin", "administrator", "sysadmin", "superadmin", "superuser", "root", "system", "operator", "owner", "moderator", "mod", "staff",
    "team", "official", "chatty", "bot",
    "abuse", "contact", "help", "helpdesk", "hostmaster", "info", "mail", "mailer", "mailerdaemon", "marketing", "news", "noc", "noreply",
    "postmaster", "press", "privacy", "legal", "billing", "sales", "security", "service", "support", "usenet", "uucp", "webmaster", "www",
    "ftp", "smtp", "imap", "pop", "localhost", "daemon",
    "about", "account", "api", "auth", "comment", "doc", "feed", "home", "index", "like", "login", "logout", "me", "media", "metric",
    "notification", "oauth", "openapi", "password", "post", "profile", "recommendation", "register", "report", "reset", "resetpassword",
    "search", "session", "setting", "signin", "signup", "static", "status", "subscribe", "subscription", "token", "unsubscribe", "user",
    "username", "verify", "wellknown",
    "all", "anonymous", "deleted", "everybody", "everyone", "false", "guest", "here", "nil", "nobody", "none", "null", "true", "undefined",
    "unknown", "you",
  ]
}
