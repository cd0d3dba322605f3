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
  let expiresIn = AccessToken.lifetime
  let refreshToken: String

  private enum CodingKeys: String, CodingKey {
    case message
    case token
    case userID = "user_id"
    case tokenType = "token_type"
    case expiresIn = "expires_in"
    case refreshToken = "refresh_token"
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

/// What a login needs to know of an account.
struct Credentials: RowDecodable {
  let userID: Int64
  let hashedPassword: String
  let isVerified: Bool
  let isBlocked: Bool

  /// Of `users u`.
  static let columns: Query = "u.id, u.hashed_password, u.verified_at IS NOT NULL, u.blocked_at IS NOT NULL"

  init(row: inout RowReader) throws(PostgresError) {
    userID = try row.next()
    hashedPassword = try row.next()
    isVerified = try row.next()
    isBlocked = try row.next()
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
