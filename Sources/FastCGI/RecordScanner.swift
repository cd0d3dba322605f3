// Tells, without taking anything from the socket, whether a whole request has arrived. libfcgi reads with blocking calls; it is
// only let loose on a request that is there, so that a peer that stops in the middle cannot stop the loop.

/// What has arrived on a connection (FastCGI 1.0, section 3.3 for the record header, 8 for the types).
enum Arrival: Equatable {
  /// The records up to and with the empty FCGI_STDIN are there.
  case complete
  case partial
  /// Not FastCGI.
  case malformed
}

enum RecordScanner {
  private static let headerLength = 8
  private static let version: UInt8 = 1
  private static let standardInput: UInt8 = 5

  static func scan(_ bytes: ArraySlice<UInt8>) -> Arrival {
    var start = bytes.startIndex
    while start < bytes.endIndex {
      guard bytes[start] == version else { return .malformed }
      guard start + headerLength <= bytes.endIndex else { return .partial }
      let contentLength = Int(bytes[start + 4]) << 8 | Int(bytes[start + 5])
      if bytes[start + 1] == standardInput, contentLength == 0 { return .complete }
      start += headerLength + contentLength + Int(bytes[start + 6])
    }
    return .partial
  }
}
