// What each route of chatty-admin does.

import ServiceKit

extension AdminService {
  private static let reasonLength = 0...4_000

  /// POST /admin/users/{user_id}/block
  static func block(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let user = input.pathID("user_id")
    let reason = input.hasBody ? input.optionalText("reason", reasonLength) : nil
    try input.validate()
    try await perform(.blockUser, on: user, because: reason, context)
    return .json(Message("User \(user) blocked"))
  }

  /// DELETE /admin/users/{user_id}/block
  static func unblock(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let user = try request.path.id("user_id")
    try await perform(.unblockUser, on: user, context)
    return .json(Message("User \(user) unblocked"))
  }

  /// PUT /admin/users/{user_id}/role
  static func setRole(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let user = input.pathID("user_id")
    // Without a usable one `validate` throws.
    let role = input.choice("role", Role.self) ?? .user
    try input.validate()
    try await perform(.setRole(role), on: user, context)
    return .json(Message("User \(user) is now \(role.rawValue)"))
  }

  /// DELETE /admin/posts/{post_id}
  static func deletePost(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let post = try request.path.id("post_id")
    try await perform(.deletePost, on: post, context)
    return .json(Message("Post \(post) deleted"))
  }

  /// DELETE /admin/comments/{comment_id}
  static func deleteComment(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let comment = try request.path.id("comment_id")
    try await perform(.deleteComment, on: comment, context)
    return .json(Message("Comment \(comment) deleted"))
  }

  /// GET /admin/stats
  static func stats(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    guard let stats = try await Queries.stats(for: context.caller, on: context.database) else { throw await notEntitled(context) }
    return .json(StatsReply(stats: stats))
  }

  /// Acts on a target, or says why not. Either way what was tried is on record, unless the caller may not even try.
  private static func perform(
    _ action: Action, on target: Int64, because reason: String? = nil, _ context: Context
  ) async throws(APIError) {
    switch try await Queries.perform(action, on: target, because: reason, by: context.caller, on: context.database) {
    case .applied: break
    case .missing: throw .notFound("\(action.targetName) not found")
    case .forbidden: throw .forbidden("Cannot act on this user")
    case nil: throw await notEntitled(context)
    }
  }

  private static func notEntitled(_ context: Context) async -> APIError {
    await context.unauthenticated(or: .forbidden("Admin role required"))
  }
}
