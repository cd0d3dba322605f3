import EventLoop

/// The name under which a statement is prepared on every connection of this process: derived from its text and the types of its
/// parameters, so that it is the same in every worker and can be found again in `pg_stat_activity` and `pg_prepared_statements`.
struct StatementName: Hashable {
  let text: String

  @Worker private static var known: [Query: StatementName] = [:]
  @Worker private static var renewals = 0

  @Worker static func of(_ query: Query) -> StatementName {
    if let name = known[query] { return name }
    let name = StatementName(text: stem(query))
    known[query.shape] = name
    return name
  }

  /// Another name for the statement from now on, since what is prepared under `name` is out of date. Of the statements that find
  /// that out together only the first makes a new one.
  @Worker static func renew(_ query: Query, insteadOf name: StatementName) {
    guard known[query] == name else { return }
    renewals += 1
    known[query.shape] = StatementName(text: "\(stem(query))_\(renewals)")
  }

  private static func stem(_ query: Query) -> String {
    let types = query.parameters.map { " \($0.type.rawValue)" }.joined()
    return "chatty_" + String(fnv1a(query.sql + types), radix: 16)
  }

  /// FNV-1a, 64 bits (draft-eastlake-fnv): short, stable from process to process, and nothing here is adversarial.
  private static func fnv1a(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
