import EventLoop

/// A way for a mail to leave.
public protocol MailTransport {
  /// Returns when the mail is somebody else's to deliver. Several may be under way at once.
  ///
  /// - Parameter name: names the mail among all others of this Chatty: letters, digits and `-`.
  @Worker func deliver(_ message: MailMessage, name: String) async throws(MailError)
}
