// The mails that Chatty writes. The outbox says which one to whom; the words are here.

import FoundationEssentials

/// A row of the outbox of the kind `mail`: `{"template": "verify", "to": …, "username": …, "user_id": …, "token": …}`.
struct Letter: Decodable {
  enum Template: String, Decodable {
    /// A new account's link.
    case verify
  }

  let template: Template
  let to: String
  let username: String
  let userID: Int64
  let token: String

  private enum CodingKeys: String, CodingKey {
    case template
    case to
    case username
    case userID = "user_id"
    case token
  }

  /// nil if `payload` is not such an object.
  init?(payload: String) {
    guard let letter = try? JSONDecoder().decode(Letter.self, from: Data(payload.utf8)) else { return nil }
    self = letter
  }

  var subject: String {
    switch template {
    case .verify: "Confirm your e-mail address"
    }
  }

  /// - Parameter publicURL: where people reach this Chatty, without a slash at the end. It is a setting, and never what a
  ///   request's Host header said: that would let anybody send our mails with their links.
  func text(publicURL: String) -> String {
    switch template {
    case .verify:
      """
      Hello \(username),

      welcome to Chatty. Please open this link to confirm your e-mail address:

      \(publicURL)/auth/verify/\(userID)?token=\(token)

      It works for two days. If it was not you who registered, please ignore
      this mail: nobody can log in to the account before the link was opened.

      """
    }
  }
}
