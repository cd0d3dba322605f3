/// A way for a mail to leave. Delivering blocks the thread.
public protocol MailTransport {
  /// - Parameter name: names the mail among all others of this Chatty: letters, digits and `-`.
  func deliver(_ message: MailMessage, name: String) throws(MailError)
}
