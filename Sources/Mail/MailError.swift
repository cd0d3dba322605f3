/// Why a mail was not delivered. The texts show neither the mail nor its recipient.
public enum MailError: Error, Equatable, CustomStringConvertible {
  /// Not an address, or one with characters that could end it: line ends, blanks, angle brackets.
  case invalidAddress
  /// The server does not want this mail and will not want it later either (a 5yz answer to it). Sending again is no use.
  case refused(String)
  /// The server does not want this mail now (a 4yz answer to it): another may do better.
  case deferred(String)
  /// No mail can leave just now: no connection, credentials that an operator has to mend, a full disk.
  case unavailable(String)

  public var description: String {
    switch self {
    case .invalidAddress: "not a mail address"
    case .refused(let reason): "refused: \(reason)"
    case .deferred(let reason): "deferred: \(reason)"
    case .unavailable(let reason): reason
    }
  }
}
