// Tells whether a whole request has arrived. libfcgi reads with blocking calls; it is only let loose on a request that is there, and
// that it will read to its end and no further, so that a peer that stops in the middle cannot stop the loop.

/// What has arrived of a request.
package enum Arrival: Equatable, Sendable {
  /// The records up to and with the empty FCGI_STDIN are there, and nothing after it.
  case complete
  case partial
  /// Not FastCGI, or not what libfcgi can read.
  case malformed
}

/// Follows the records of one request, in whatever pieces they come (FastCGI 1.0, section 3.3 for the header, 5 and 6.2 for the
/// order).
///
/// It takes what web servers send: FCGI_BEGIN_REQUEST, FCGI_PARAMS to its empty record, FCGI_STDIN to its empty record, all of one
/// request. Malformed are, besides what the standard does not have: management records and FCGI_ABORT_REQUEST; a second request
/// before the first is answered, since libfcgi says FCGI_MPXS_CONNS is 0 and would lose it; padding of a record without
/// stream content, which libfcgi would take for the next header; and names or values that are longer than all parameters may be, or
/// that end before they should, for which libfcgi would allocate whatever they say.
package struct RecordScanner: Sendable {
  /// Content of the FCGI_STDIN records so far, in bytes, as their headers announce it.
  package private(set) var bodyLength = 0
  /// Bytes of the present record that are still to come.
  package private(set) var missing = 0
  /// Bytes of a header that has come in part.
  package private(set) var headerBytes = 0

  private var header: UInt64 = 0
  /// Of `missing`, what is part of a stream of parameters.
  private var missingPairs = 0
  private var pairs = PairScanner(limit: Self.parametersLimit)
  private var parametersLength = 0
  private var requestID: UInt64 = 0
  private var expected = Expected.begin

  private enum Expected {
    case begin
    case parameters
    case input
    case nothing
  }

  private static let headerLength = 8
  /// Of all FCGI_PARAMS records: more than any web server's limit on header fields.
  private static let parametersLimit = 256 << 10

  package init() {}

  /// - Parameter bytes: what follows the bytes of the last call. None may be given after the request was complete or malformed.
  package mutating func scan(_ bytes: ArraySlice<UInt8>) -> Arrival {
    var rest = bytes
    while true {
      let skipped = min(missing, rest.count)
      let pairBytes = min(missingPairs, skipped)
      if pairBytes > 0, !pairs.scan(rest.prefix(pairBytes)) { return .malformed }
      missingPairs -= pairBytes
      missing -= skipped
      rest = rest.dropFirst(skipped)
      if expected == .nothing { return rest.isEmpty ? .complete : .malformed }
      if rest.isEmpty { return .partial }
      for byte in rest.prefix(Self.headerLength - headerBytes) {
        header = header << 8 | UInt64(byte)
        headerBytes += 1
        rest = rest.dropFirst()
      }
      if header >> UInt64(8 * (headerBytes - 1)) != 1 { return .malformed }
      if headerBytes == Self.headerLength, !startRecord() { return .malformed }
    }
  }

  /// Takes the header that is complete; false if it is not one that may come now.
  private mutating func startRecord() -> Bool {
    let type = UInt8(truncatingIfNeeded: header >> 48)
    let id = header >> 32 & 0xffff
    let contentLength = Int(header >> 16 & 0xffff)
    let paddingLength = Int(header >> 8 & 0xff)
    header = 0
    headerBytes = 0
    missing = contentLength + paddingLength
    switch (expected, type) {
    case (.begin, 1):
      requestID = id
      expected = .parameters
      return id != 0 && contentLength == 8 && paddingLength == 0
    case (.parameters, 4):
      parametersLength += contentLength
      missingPairs = contentLength
      guard id == requestID, parametersLength <= Self.parametersLimit else { return false }
      if contentLength > 0 { return true }
      expected = .input
      return paddingLength == 0 && pairs.isBetweenPairs
    case (.input, 5):
      bodyLength += contentLength
      if contentLength == 0 { expected = .nothing }
      return id == requestID && (contentLength > 0 || paddingLength == 0)
    default:
      return false
    }
  }
}
