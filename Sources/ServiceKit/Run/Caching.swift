// Who may keep an answer, and for how long (RFC 9111): the same for every answer of a route, its errors too.

import EventLoop

/// What caches are told of a route's answers.
@Worker
enum Caching {
  /// There is no route: nothing is said.
  case none
  /// What somebody gets who is known, and what is done for somebody: it is kept nowhere.
  case forbidden(dependsOnCaller: Bool)
  /// What everybody may read and a token adds something to: the reader's own cache may keep it, and asks each time whether it still holds.
  case ofReader
  /// What everybody may read, whoever they are.
  case ofEverybody

  init(_ route: Route) {
    switch route.access {
    case .user: self = .forbidden(dependsOnCaller: true)
    case .optional where route.method == "GET": self = .ofReader
    case .anyone where route.method == "GET": self = .ofEverybody
    case .optional: self = .forbidden(dependsOnCaller: true)
    case .anyone: self = .forbidden(dependsOnCaller: false)
    }
  }

  /// Gives an answer that may be kept a tag, unless it has one, so that there is something to ask by.
  func tag(_ reply: inout Reply, _ request: Request) {
    if case .ofReader = self, reply.response.status == 200, !reply.hasHeader("ETag") { reply.tag(version: 0, request) }
  }

  func announce(in reply: inout Reply) {
    let (control, dependsOnCaller): (String?, Bool) =
      switch self {
      case .none: (nil, false)
      case .forbidden(let dependsOnCaller): ("no-store", dependsOnCaller)
      case .ofReader: ("private, no-cache", true)
      case .ofEverybody: ("no-cache", false)
      }
    if let control, !reply.hasHeader("Cache-Control") { reply.response.headers.append(("Cache-Control", control)) }
    if dependsOnCaller { reply.response.headers.append(("Vary", "Authorization")) }
  }
}
