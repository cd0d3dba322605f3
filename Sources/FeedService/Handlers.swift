// What each route of chatty-feed does.

import ServiceKit

extension FeedService {
  /// POST /subscribe/{user_id}
  static func subscribe(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let user = try request.path.id("user_id")
    return try await context.once(request.input) { database throws(APIError) in
      guard try await Queries.subscribe(context.caller, to: user, on: database) else {
        throw await notSubscribed(to: user, context)
      }
      return .json(Message("Subscribed to user \(user)"))
    }
  }

  /// DELETE /unsubscribe/{user_id}
  static func unsubscribe(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let user = try request.path.id("user_id")
    guard try await Queries.unsubscribe(context.caller, from: user, on: context.database) else {
      throw await context.unauthenticated(or: .notFound("Subscription not found"))
    }
    return .json(Message("Unsubscribed from user \(user)"))
  }

  /// GET /feed
  static func feed(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let page = try request.page()
    let posts = try await Queries.feed(of: context.caller, page, on: context.database)
    if posts.isEmpty {
      let followsSomebody = try await Queries.followsSomebody(context.caller, on: context.database)
      guard let followsSomebody else { throw .unauthorized }
      guard followsSomebody else { return .json(Feed(message: "No subscriptions yet", posts: [])) }
    }
    return .page({ Feed(message: "Your feed", posts: $0) }, of: posts, page, request, position: { $0.id })
  }

  /// Why the caller could not subscribe.
  private static func notSubscribed(to user: Int64, _ context: Context) async -> APIError {
    if user == context.caller.userID { return await context.unauthenticated(or: .badRequest("Cannot subscribe to yourself")) }
    do throws(APIError) {
      let exists = try await Queries.exists(user, on: context.database)
      return await context.unauthenticated(or: exists ? .badRequest("Already subscribed") : .notFound("User not found"))
    } catch {
      return error
    }
  }
}
