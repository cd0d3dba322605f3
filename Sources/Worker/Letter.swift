// The mails that Chatty writes. The outbox says which one to whom; the words are here.

import FoundationEssentials

/// A row of the outbox of the kind `mail`: `{"template": "verify", "to": …, "username": …, "user_id": …, "token": …}`.
struct Letter: Decodable {
  enum Template: String, Decodable {
    /// A new account's link.
    case verify
    /// A link to the address that an account is to have.
    case changeEmail = "change_email"
    /// That the address is about to change, to the address that the account has.
    case emailChanging = "email_changing"
    /// That it has changed, to the address that the account had: a way back.
    case emailChanged = "email_changed"
    /// That the way back was taken, to the address that the account had for a while.
    case emailRestored = "email_restored"
    /// A link for a forgotten password.
    case reset
    /// That the password has changed.
    case passwordChanged = "password_changed"
  }

  let template: Template
  let to: String
  let username: String
  let userID: Int64
  /// The secret of the link; there is none in a mail that only tells.
  let token: String?

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
    case .changeEmail: "Confirm your new e-mail address"
    case .emailChanging: "Your e-mail address is about to change"
    case .emailChanged: "Your e-mail address has changed"
    case .emailRestored: "Your e-mail address has been changed back"
    case .reset: "Set a new password"
    case .passwordChanged: "Your password has changed"
    }
  }

  /// Anybody can have a mail sent to anybody by registering, and the name is theirs to choose: `www.evil.example` would be a link in most
  /// mail programs. So it stands at the end, and its dots in brackets.
  ///
  /// - Parameter publicURL: where people reach this Chatty, without a slash at the end. It is a setting, and never what a
  ///   request's Host header said: that would let anybody send our mails with their links.
  func text(publicURL: String) -> String {
    """
    Hello,

    \(message(publicURL))

    This is about the account "\(shownName)".

    """
  }

  private var shownName: String { username.split(separator: ".", omittingEmptySubsequences: false).joined(separator: "[.]") }

  private func message(_ publicURL: String) -> String {
    let verification = "\(publicURL)/auth/verify/\(userID)?token=\(token ?? "")"
    // The secret is behind a #, which browsers keep to themselves: no log and no other site gets to see it.
    let reset = "\(publicURL)/reset-password#\(token ?? "")"
    return switch template {
    case .verify:
      """
      welcome to Chatty. Please open this link to confirm your e-mail address:

      \(verification)

      It works for two days. If it was not you who registered, please ignore
      this mail: nobody can log in to the account before the link was opened.
      """
    case .changeEmail:
      """
      somebody, most likely you, wants this to be the e-mail address of your
      account. Please open this link to confirm it:

      \(verification)

      It works for two days. Until then the account keeps the address it has.
      If it was not you, please ignore this mail.
      """
    case .emailChanging:
      """
      your account is about to get another e-mail address: a link to confirm it
      was sent there. If it was you, there is nothing to do.

      If it was not you, somebody knows your password. Please set a new one
      now: that makes the link worthless and ends every other session.
      """
    case .emailChanged:
      """
      your account has another e-mail address now, and mail about it goes
      there. If it was you, there is nothing to do.

      If it was not you, this link takes it back, within seven days:

      \(verification)

      It ends every session, makes the password worthless and has a link for a
      new one sent to this address.
      """
    case .emailRestored:
      """
      your account has the e-mail address again that it had before: somebody
      who reads mail there has taken the change back. This address is no
      longer your account's.
      """
    case .reset:
      """
      somebody, most likely you, has asked for a new password. Please open this
      link to set one:

      \(reset)

      It works once, within an hour. If it was not you, please ignore this
      mail: your password stays as it is.
      """
    case .passwordChanged:
      """
      your password has just been changed, and your other sessions were ended.
      If it was you, there is nothing to do.

      If it was not you, please ask for a new password at once: the link comes
      to this address.
      """
    }
  }
}
