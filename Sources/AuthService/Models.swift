// The bodies of chatty-auth's answers, and the rows that its statements give.

import ServiceKit

struct Registered: Encodable {
  let message: String
  let userID: Int64

  init(username: String, userID: Int64) {
    message = "User \(username) registered, check your email"
    self.userID = userID
  }

  private enum CodingKeys: String, CodingKey {
    case message
    case userID = "user_id"
  }
}

/// The answer to a login: RFC 6749 section 5.1, but for the name of the access token.
struct LoggedIn: Encodable {
  let message = "Login successful"
  let token: String
  let userID: Int64
  let tokenType = "bearer"
  /// Seconds. What is given a second time, within half a minute, has that much less.
  let expiresIn = AccessToken.lifetime
  let refreshToken: String
  /// The password is longer than bcrypt takes, and counts by its beginning alone: its owner should set another.
  let passwordIsTooLong: Bool

  init(_ tokens: IssuedTokens, userID: Int64, passwordIsTooLong: Bool = false) {
    token = tokens.access
    refreshToken = tokens.refresh
    self.userID = userID
    self.passwordIsTooLong = passwordIsTooLong
  }

  private enum CodingKeys: String, CodingKey {
    case message
    case token
    case userID = "user_id"
    case tokenType = "token_type"
    case expiresIn = "expires_in"
    case refreshToken = "refresh_token"
    case passwordIsTooLong = "password_too_long"
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(message, forKey: .message)
    try container.encode(token, forKey: .token)
    try container.encode(userID, forKey: .userID)
    try container.encode(tokenType, forKey: .tokenType)
    try container.encode(expiresIn, forKey: .expiresIn)
    try container.encode(refreshToken, forKey: .refreshToken)
    if passwordIsTooLong { try container.encode(true, forKey: .passwordIsTooLong) }
  }
}

/// A user as they see themselves: the same members and a few more.
struct OwnUser: Encodable, RowDecodable {
  let user: User
  let email: String
  let role: String
  let isActive: Bool

  static let columns: Query = "\(User.columns), u.email, u.role, u.is_active"

  init(row: inout RowReader) throws(PostgresError) {
    user = try User(row: &row)
    email = try row.next()
    role = try row.next()
    isActive = try row.next()
  }

  private enum CodingKeys: String, CodingKey {
    case email
    case role
    case isActive = "is_active"
  }

  func encode(to encoder: any Encoder) throws {
    try user.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(email, forKey: .email)
    try container.encode(role, forKey: .role)
    try container.encode(isActive, forKey: .isActive)
  }
}

/// What a proof of its password needs to know of an account.
struct Credentials: RowDecodable {
  let userID: Int64
  let username: String
  let email: String
  let hashedPassword: String
  let isVerified: Bool
  let isBlocked: Bool

  /// Of `users u`.
  static let columns: Query = "u.id, u.username, u.email, u.hashed_password, u.verified_at IS NOT NULL, u.blocked_at IS NOT NULL"

  init(row: inout RowReader) throws(PostgresError) {
    try self.init(userID: try row.next(), rest: &row)
  }

  /// - Parameter userID: already read: in the row of an attempt it is null if there is no such account.
  init(userID: Int64, rest row: inout RowReader) throws(PostgresError) {
    self.userID = userID
    username = try row.next()
    email = try row.next()
    hashedPassword = try row.next()
    isVerified = try row.next()
    isBlocked = try row.next()
  }
}

/// An attempt to prove a password, counted.
struct Attempt: RowDecodable {
  /// Seconds, if the password may not be looked at; else 0.
  let wait: Int64
  /// Seconds that whoever comes with a wrong password has to wait; 0: not at all.
  let slow: Int64
  /// It was counted among those of all strangers.
  let isCounted: Bool
  /// nil if there is no such account.
  let account: Credentials?

  init(wait: Int64, slow: Int64, isCounted: Bool, account: Credentials?) {
    self.wait = wait
    self.slow = slow
    self.isCounted = isCounted
    self.account = account
  }

  init(row: inout RowReader) throws(PostgresError) {
    wait = try row.next()
    slow = try row.next()
    isCounted = try row.next()
    guard let userID: Int64 = try row.next() else {
      account = nil
      return
    }
    account = try Credentials(userID: userID, rest: &row)
  }
}

/// What came of the deletion of an account, by the names of the function `delete_account`.
enum Deletion: String, RowDecodable {
  case deleted
  /// There is none with this password any longer.
  case missing
  /// Without it there would be nobody to appoint another admin.
  case lastAdmin = "last_admin"

  init(row: inout RowReader) throws(PostgresError) {
    let name: String = try row.next()
    guard let outcome = Deletion(rawValue: name) else { throw PostgresError(.decoding, "'\(name)' is no outcome of a deletion") }
    self = outcome
  }
}

/// What became of a session whose refresh token was presented.
struct Refreshed: RowDecodable {
  let userID: Int64
  let sessionID: Int64
  /// False: the token was used before, and the session has ended.
  let stands: Bool
  /// What its refresh token was replaced by last, sealed.
  let successor: [UInt8]?

  init(row: inout RowReader) throws(PostgresError) {
    userID = try row.next()
    sessionID = try row.next()
    stands = try row.next()
    successor = try row.next()
  }
}

/// The session that a refresh token names.
struct NamedSession: RowDecodable {
  let caller: Caller

  init(row: inout RowReader) throws(PostgresError) {
    caller = Caller(userID: try row.next(), sessionID: try row.next())
  }
}

/// What became of a registration.
struct NewRow: RowDecodable {
  let id: Int64
  /// Seconds, if too many mails have gone to the address; else 0.
  let wait: Int64

  init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    wait = try row.next()
  }
}

/// Whose password a link can set.
struct ResetOwner: RowDecodable {
  let userID: Int64
  let username: String

  init(row: inout RowReader) throws(PostgresError) {
    userID = try row.next()
    username = try row.next()
  }
}

/// A session as its owner sees it.
struct Session: Encodable, RowDecodable {
  let id: Int64
  let createdAt: Timestamp
  let lastUsedAt: Timestamp
  let ip: String?
  let userAgent: String?
  /// It is the one that asks.
  let isCurrent: Bool

  init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    createdAt = try row.next()
    lastUsedAt = try row.next()
    ip = try row.next()
    userAgent = try row.next()
    isCurrent = try row.next()
  }

  private enum CodingKeys: String, CodingKey {
    case id
    case createdAt = "created_at"
    case lastUsedAt = "last_used_at"
    case ip
    case userAgent = "user_agent"
    case isCurrent = "current"
  }
}

/// Which of the names that somebody wants to register are taken.
struct TakenNames: RowDecodable {
  let username: Bool
  let email: Bool

  init(row: inout RowReader) throws(PostgresError) {
    username = try row.next()
    email = try row.next()
  }
}

/// What a visit to a verification link came to.
struct Verification: RowDecodable {
  let userExists: Bool
  let linkIsGood: Bool

  init(row: inout RowReader) throws(PostgresError) {
    userExists = try row.next()
    linkIsGood = try row.next()
  }
}
