// Requests larger than what can be looked at in a socket. They are taken out of it as they come, and handed to libfcgi, which wants
// to read from a descriptor, in a file in memory once they are whole.

import CLinux
import Glibc

/// A request that is still coming.
final class Spool {
  private var descriptor: Int32
  private var length: off_t = 0
  private var scanner = RecordScanner()
  private let bodyLimit: Int
  private var isCut = false

  /// - Parameter bodyLimit: of a body that is longer only the beginning is kept, in bytes: enough to see that it is too long.
  init?(bodyLimit: Int) {
    descriptor = memfd_create("fastcgi", MFD_CLOEXEC)
    self.bodyLimit = bodyLimit
    if descriptor < 0 { return nil }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Adds what has arrived; `.malformed` also when there is no memory for it.
  func append(_ bytes: ArraySlice<UInt8>) -> Arrival {
    let arrival = scanner.scan(bytes)
    if !isCut {
      guard write(bytes) else { return .malformed }
      if arrival == .partial, scanner.bodyLength > bodyLimit { cut() }
    } else if arrival == .complete {
      // The end of FCGI_STDIN. Its request's id is in the first record's header.
      var header: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0]
      guard pread(descriptor, &header, header.count, 0) == header.count else { return .malformed }
      guard write([1, 5, header[2], header[3], 0, 0, 0, 0]) else { return .malformed }
    }
    return arrival
  }

  /// The body is too long: what follows is counted, and not kept. The record that has begun is filled up with zeros, a header of
  /// which only a part has come is taken back.
  private func cut() {
    isCut = true
    length += off_t(scanner.missing - scanner.headerBytes)
    ftruncate(descriptor, length)
  }

  private func write(_ bytes: ArraySlice<UInt8>) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, length) }
      guard count > 0 else { return false }
      length += off_t(count)
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Gives the file away, to be read from its start.
  func takeDescriptor() -> Int32 {
    defer { descriptor = -1 }
    return descriptor
  }
}
