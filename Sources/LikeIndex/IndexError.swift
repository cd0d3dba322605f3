/// Why an index cannot be built or used, in a sentence for the log.
public struct IndexError: Error, Equatable, CustomStringConvertible {
  public enum Kind: Sendable {
    /// There is no such file.
    case missing
    /// The system does not let it be read or written.
    case system
    /// It is not an index of likes.
    case foreign
    /// An index of a format that this program does not read.
    case version
    /// It is not as long as it says.
    case cut
    /// What it holds is not what was written, or cannot be true.
    case corrupt
    /// Somebody else is building.
    case busy
    /// There is more than the format can hold.
    case tooLarge
  }

  public let kind: Kind
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
