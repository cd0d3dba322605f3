// Requests for mails, by people who may not learn whether there is an account that the mail is for.

import FoundationEssentials

/// A row of the outbox that is no letter yet: `{"template": "request", "purpose": "reset", "address": …, "token": …, "allowed": …}`. The
/// database writes the letter (answer_mail_request in sql/0027_mailed_links.sql): this process reads no accounts.
struct MailRequest: Decodable {
  private let template: String

  /// nil if `payload` is a letter, or something else.
  init?(payload: String) {
    guard let request = try? JSONDecoder().decode(MailRequest.self, from: Data(payload.utf8)), request.template == "request" else {
      return nil
    }
    self = request
  }
}
