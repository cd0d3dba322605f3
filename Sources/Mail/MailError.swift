/// Why a mail was not delivered. The texts show neither the mail nor its recipient.
public enum MailError: Error, Equatable, CustomStringConvertible {
  /// Not an address, or one with characters that could end it: line ends, blanks, angle brackets.
  case invalidAddress
  /// The server does not want this mail and will not want it later either (a 5yz answer to it). Sending again is no use.
  case refused(String)
  /// Anything that may be better later: no connection, a 4yz answer, credentials that an operator has to mend, a full disk.
  case failed(String)

  /// Whether sending the same mail again could succeed.
  public var isPermanent: Bool {
    switch self {
    case .invalidAddress, .refused: true
    case .failed: false
    }
  }

  public var description: String {
    switch self {
    case .invalidAddress: "not a mail address"
    case .refused(let reason): "refused: \(reason)"
    case .failed(let reason): reason
    }
  }
}
