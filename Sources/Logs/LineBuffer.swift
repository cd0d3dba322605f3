// Lines on their way to a file that may not take them for a while. Pure: knows neither files nor time.

/// Whole lines that wait to be written. What comes when the buffer is full is dropped and counted, and a line in its place tells how many.
public struct LineBuffer: Sendable {
  /// A line that is longer is cut into pieces of this length, in bytes.
  public static let longestLine = 1 << 16

  /// Whole lines, except that the first may be the rest of one of which a part is written.
  public private(set) var waiting: [UInt8] = []
  /// Lines that were dropped since the last note.
  public private(set) var dropped = 0
  /// The beginning of a line whose end has not come.
  private var begun: [UInt8] = []
  private let capacity: Int
  private let note: @Sendable (Int) -> String

  /// - Parameters:
  ///   - capacity: of the lines that wait, in bytes; not less than two of the longest.
  ///   - note: the line, without its end, that tells of so many dropped ones.
  public init(capacity: Int, note: @escaping @Sendable (Int) -> String) {
    self.capacity = max(capacity, 2 * Self.longestLine)
    self.note = note
  }

  /// Takes what was read, lines or pieces of lines.
  public mutating func append(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while !rest.isEmpty {
      let piece = rest.prefix(Self.longestLine - begun.count)
      rest = rest.dropFirst(piece.count)
      guard let end = piece.lastIndex(of: UInt8(ascii: "\n")) else {
        begun += piece
        if begun.count >= Self.longestLine { endLine() }
        continue
      }
      begun += piece[...end]
      admit(begun)
      begun = Array(piece[(end + 1)...])
    }
  }

  /// Ends a line that was begun: nothing comes behind it.
  public mutating func endLine() {
    guard !begun.isEmpty else { return }
    begun.append(UInt8(ascii: "\n"))
    admit(begun)
    begun = []
  }

  /// Forgets the first bytes of `waiting`, which are written.
  public mutating func remove(_ count: Int) {
    if count == waiting.count { waiting.removeAll(keepingCapacity: true) } else { waiting.removeFirst(count) }
    // Half of it: otherwise every other line would be a note.
    if dropped > 0, waiting.count <= capacity / 2 {
      waiting += Array((note(dropped) + "\n").utf8)
      dropped = 0
    }
  }

  /// - Parameter lines: whole ones.
  private mutating func admit(_ lines: [UInt8]) {
    if dropped == 0, waiting.count + lines.count <= capacity {
      waiting += lines
    } else {
      dropped += lines.reduce(0) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
    }
  }
}
