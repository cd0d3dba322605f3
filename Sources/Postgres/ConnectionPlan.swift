// Which servers a connection string names, in which order they are tried, and for how long each (libpq, 34.1.1.3, "Specifying Multiple
// Hosts"). It opens nothing and looks nothing up: libpq itself would do both for all of them in one go, and one that is silent would
// have the time of all.

import CPostgres
import Glibc

package struct ConnectionPlan {
  /// One server at one place.
  package struct Target: Hashable {
    /// A name, an address or the folder of a Unix socket; nil: what libpq takes if it is told nothing.
    package var host: String?
    /// The numeric address to connect to; certificates and passwords go by `host` all the same.
    package var address: String?
    package var port: String?
    /// What the session has to be good for: `target_session_attrs`.
    package var attributes: String?

    /// The name whose addresses have to be found before this can be tried.
    package var nameToLookUp: String? {
      guard address == nil, let host, !host.hasPrefix("/"), !host.hasPrefix("@"), !Self.isNumeric(host) else { return nil }
      return host
    }

    /// The same server at each of its addresses.
    package func at(_ addresses: [String]) -> [Target] {
      addresses.map { address in
        var target = self
        target.address = address
        return target
      }
    }

    /// Where it is, whatever it is wanted for.
    var place: Target { Target(host: host, address: address, port: port) }

    /// For a log.
    var description: String {
      let place = [host, address.map { host == nil ? $0 : "(\($0))" }].compactMap { $0 }.joined(separator: " ")
      return "\(place.isEmpty ? "the default host" : place)\(port.map { ", port \($0)" } ?? "")"
    }

    private static func isNumeric(_ text: String) -> Bool {
      var address = in6_addr()
      return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1
    }
  }

  package let targets: [Target]
  /// How long one target at one address is waited for, from the first packet to the session.
  package let patience: Duration
  /// What is the same for all targets.
  private let common: [String: String]

  /// - Parameters:
  ///   - settings: whose URL says where.
  ///   - defaults: what holds for keywords that the URL does not have: libpq's, those of the environment (PGHOST, …) among them.
  /// - Throws: `unavailable` for an URL that libpq does not understand.
  package init(_ settings: ConnectionSettings, defaults: [String: String] = ConnectionString.defaults) throws(PostgresError) {
    var options = try ConnectionString.parse(settings.url)
    // A service file (34.17) may name the hosts, and only libpq reads it.
    let looksAtDefaults = options["service"] == nil
    func take(_ keyword: String) -> String? {
      let value = options.removeValue(forKey: keyword) ?? (looksAtDefaults ? defaults[keyword] : nil)
      return value?.isEmpty == true ? nil : value
    }
    let attributes = take("target_session_attrs")
    let named = try Self.targets(hosts: take("host"), addresses: take("hostaddr"), ports: take("port"))
    let ordered = take("load_balance_hosts") == "random" ? named.shuffled() : named
    // First a standby anywhere, then anything anywhere.
    let passes = attributes == "prefer-standby" ? ["standby", "any"] : [attributes]
    targets = passes.flatMap { pass in
      ordered.map { target in
        var target = target
        target.attributes = pass
        return target
      }
    }
    // As libpq has it (34.1.2, connect_timeout): whole seconds, no less than two.
    let seconds = take("connect_timeout").flatMap { Int($0) } ?? 0
    patience = seconds > 0 ? .seconds(max(2, seconds)) : settings.connectTimeout
    options.merge(settings.sessionParameters(own: options["options"])) { $1 }
    common = options
  }

  /// Keywords and values for `PQconnectStartParams`.
  package func parameters(for target: Target) -> [(String, String)] {
    let own = ["host": target.host, "hostaddr": target.address, "port": target.port, "target_session_attrs": target.attributes]
    return common.map { ($0.key, $0.value) } + own.compactMap { entry in entry.value.map { (entry.key, $0) } }
  }

  /// Comma-separated lists: as many ports as hosts, or one for all; an empty entry is the default.
  private static func targets(hosts: String?, addresses: String?, ports: String?) throws(PostgresError) -> [Target] {
    func entries(_ list: String?) -> [String?] {
      list.map { $0.split(separator: ",", omittingEmptySubsequences: false).map { $0.isEmpty ? nil : String($0) } } ?? []
    }
    let (hosts, addresses, ports) = (entries(hosts), entries(addresses), entries(ports))
    let count = max(addresses.isEmpty ? hosts.count : addresses.count, 1)
    guard hosts.isEmpty || hosts.count == count else {
      throw PostgresError(.unavailable, "the database's address has \(hosts.count) hosts and \(count) values of hostaddr")
    }
    guard ports.count <= 1 || ports.count == count else {
      throw PostgresError(.unavailable, "the database's address has \(ports.count) ports and \(count) hosts")
    }
    return (0..<count).map { index in
      Target(
        host: hosts.isEmpty ? nil : hosts[index], address: addresses.isEmpty ? nil : addresses[index],
        port: ports.isEmpty ? nil : ports.count == 1 ? ports[0] : ports[index])
    }
  }
}
