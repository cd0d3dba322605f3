import Postgres
import TestSupport
import Testing

/// Which servers an address names, in which order, and for how long each is waited for.
@Suite("the servers of an address")
struct ConnectionPlanTests {
  private func plan(_ url: String, defaults: [String: String] = [:]) throws -> ConnectionPlan {
    try ConnectionPlan(ConnectionSettings(url: url, applicationName: "test"), defaults: defaults)
  }

  /// Host, address, port and what it has to be good for, with - for what is not said.
  private func targets(_ url: String, defaults: [String: String] = [:]) throws -> [String] {
    try plan(url, defaults: defaults).targets.map { target in
      [target.host, target.address, target.port, target.attributes].map { $0 ?? "-" }.joined(separator: " ")
    }
  }

  @Test(
    "every host is a target of its own, with its port",
    arguments: [
      ("postgresql://u:p@a,b:5433/db", ["a - - -", "b - 5433 -"]),
      ("postgresql://a:1,b:2,c/db", ["a - 1 -", "b - 2 -", "c - - -"]),
      ("host=a,b port=6432 dbname=x", ["a - 6432 -", "b - 6432 -"]),
      ("host=a,,b", ["a - - -", "- - - -", "b - - -"]),
      ("postgresql://[::1]:5433,192.0.2.1/db", ["::1 - 5433 -", "192.0.2.1 - - -"]),
      ("postgresql:///db?host=/run/one,/run/two", ["/run/one - - -", "/run/two - - -"]),
      ("host=a,b hostaddr=192.0.2.1,192.0.2.2", ["a 192.0.2.1 - -", "b 192.0.2.2 - -"]),
      ("hostaddr=192.0.2.1,192.0.2.2 port=1,2", ["- 192.0.2.1 1 -", "- 192.0.2.2 2 -"]),
      ("postgresql:///db", ["- - - -"]),
      ("host=a,b target_session_attrs=read-write", ["a - - read-write", "b - - read-write"]),
      ("host=a,b target_session_attrs=prefer-standby", ["a - - standby", "b - - standby", "a - - any", "b - - any"]),
    ])
  func hosts(url: String, expected: [String]) throws {
    #expect(try targets(url) == expected)
  }

  @Test("the environment says what the address does not, and a service file is left to libpq")
  func defaults() throws {
    let defaults = ["host": "a,b", "port": "1,2", "target_session_attrs": "any", "connect_timeout": "9"]
    #expect(try targets("dbname=x", defaults: defaults) == ["a - 1 any", "b - 2 any"])
    #expect(try targets("host=c port=3", defaults: defaults) == ["c - 3 any"])
    #expect(try targets("service=mine", defaults: defaults) == ["- - - -"])
    #expect(try plan("dbname=x", defaults: defaults).patience == .seconds(9))
  }

  @Test(
    "each has the address's connect_timeout, two seconds at least, and a time of ours without one",
    arguments: [("", 3), ("connect_timeout=0", 3), ("connect_timeout=-1", 3), ("connect_timeout=1", 2), ("connect_timeout=10", 10)])
  func patience(parameter: String, seconds: Int) throws {
    #expect(try plan("host=a \(parameter)").patience == .seconds(seconds))
  }

  @Test(
    "lists that do not fit one another, and what is no address, are refused",
    arguments: ["host=a,b hostaddr=192.0.2.1", "host=a,b,c port=1,2", "postgresql://[", "nonsense=1"])
  func refused(url: String) {
    #expect(throws: PostgresError.self) { try targets(url) }
  }

  @Test("only a name is looked up, and each of its addresses is a target whose certificate goes by the name")
  func names() throws {
    let targets = try plan("host=db.example,192.0.2.1,::1,/run,@run,a hostaddr=,,,,,192.0.2.9").targets
    #expect(targets.map(\.nameToLookUp) == ["db.example", nil, nil, nil, nil, nil])
    let found = targets[0].at(["192.0.2.1", "2001:db8::1"])
    #expect(found.map(\.host) == ["db.example", "db.example"])
    #expect(found.map(\.address) == ["192.0.2.1", "2001:db8::1"])
    #expect(found.map(\.nameToLookUp) == [nil, nil])
  }

  @Test("what the settings say wins over the address, and the rest of it is kept")
  func parameters() throws {
    let settings = ConnectionSettings(
      url: "postgresql://u:p@a,b/db?sslmode=verify-full&options=-c%20x.y%3D1", user: "me", password: "secret", applicationName: "test")
    let plan = try ConnectionPlan(settings, defaults: [:])
    let parameters = Dictionary(uniqueKeysWithValues: plan.parameters(for: plan.targets[1].at(["192.0.2.1"])[0]))
    #expect(parameters["host"] == "b" && parameters["hostaddr"] == "192.0.2.1")
    #expect(parameters["user"] == "me" && parameters["password"] == "secret")
    #expect(parameters["dbname"] == "db" && parameters["sslmode"] == "verify-full")
    #expect(parameters["options"]?.hasPrefix("-c x.y=1 -c statement_timeout=5000 ") == true)
  }

  @Test(
    "a refusal ends the search, unless the server only starts or stops",
    arguments: [
      ("connection to server at \"a\" failed: FATAL:  28P01: password authentication failed\nLOCATION:  auth_failed, auth.c:335\n", true),
      ("connection to server at \"a\" failed: FATAL:  53300: sorry, too many clients already\n", true),
      ("connection to server at \"a\" failed: FATAL:  57P03: the database system is starting up\n", false),
      ("connection to server at \"a\" failed: Connection refused\n\tIs the server running on that host?\n", false),
      ("connection to server at \"a\" failed: session is read-only\n", false),
      ("", false),
    ])
  func refusals(text: String, isFinal: Bool) {
    let refusal = Refusal(text)
    #expect(refusal.isFinal == isFinal)
    #expect(!refusal.message.contains("LOCATION") && !refusal.message.hasSuffix("\n"))
  }
}
