// Where a client is, as far as its address tells.

import EventLoop
import Glibc
import ServiceKit

/// The two sizes in which addresses are given to people: to one customer, and to one provider's neighbourhood.
@Worker
struct ClientPlace {
  /// An IPv4 address, in an IPv6 one too (RFC 4291, section 2.5.5.2), or the /64 of an IPv6 address.
  let client: String
  /// The /24 around the first, the /48 around the other.
  let network: String
  /// `client` is an address; nil for what a proxy or a unix socket says otherwise.
  let cidr: String?

  init(_ request: Request) {
    let address = request.remoteAddress
    guard let bytes = Self.bytes(of: address) else {
      (client, network, cidr) = (address, address, nil)
      return
    }
    client = Self.prefix(bytes, bytes.count == 4 ? 32 : 64)
    network = Self.prefix(bytes, bytes.count == 4 ? 24 : 48)
    cidr = client
  }

  /// Four bytes or sixteen.
  private static func bytes(of address: String) -> [UInt8]? {
    var four = in_addr()
    if inet_pton(AF_INET, address, &four) == 1 { return withUnsafeBytes(of: four, Array.init) }
    var sixteen = in6_addr()
    guard inet_pton(AF_INET6, address, &sixteen) == 1 else { return nil }
    let bytes = withUnsafeBytes(of: sixteen, Array.init)
    return bytes.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) ? Array(bytes.suffix(4)) : bytes
  }

  /// The first `length` bits, a multiple of 8, as PostgreSQL writes a `cidr`.
  private static func prefix(_ bytes: [UInt8], _ length: Int) -> String {
    let kept = bytes.enumerated().map { $0.offset < length / 8 ? $0.element : 0 }
    if kept.count == 4 { return kept.map(String.init).joined(separator: ".") + "/\(length)" }
    let groups = stride(from: 0, to: 16, by: 2).map { String(Int(kept[$0]) << 8 | Int(kept[$0 + 1]), radix: 16) }
    return groups.joined(separator: ":") + "/\(length)"
  }
}
