// What each route of chatty-posts does.

import ServiceKit

extension PostService {
  private static let titleLength = 1...200
  private static let contentLength = 1...20_000
  private static let commentLength = 1...4_000

  /// GET /posts?user_id=
  static func list(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let author = input.queryID("user_id")
    let page = input.page()
    try input.validate()
    let posts = try await Queries.list(page, by: author, for: context.caller, on: context.database)
    return .list(posts, page, request) { $0.id }
  }

  /// POST /posts
  static func create(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let title = input.text("title", titleLength)
    let content = input.text("content", contentLength)
    try input.validate()
    let post = try await Queries.create(title: title, content: content, by: context.caller, on: context.database)
    guard let post else { throw .unauthorized }
    return .json(PostReply(message: "Post created", post: post))
  }

  /// GET /posts/{post_id}
  static func show(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let id = try request.path.id("post_id")
    let post = try await Queries.post(id, for: context.caller, on: context.database)
    guard let post else { throw .notFound("Post not found") }
    return .json(post)
  }

  /// PATCH /posts/{post_id}
  static func update(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let id = input.pathID("post_id")
    let title = input.optionalText("title", titleLength)
    let content = input.optionalText("content", contentLength)
    try input.validate()
    let post = try await Queries.update(id, title: title, content: content, by: context.caller, on: context.database)
    guard let post else { throw await notTheAuthor(of: id, context) }
    return .json(PostReply(message: "Post updated", post: post))
  }

  /// DELETE /posts/{post_id}
  static func delete(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let id = try request.path.id("post_id")
    guard try await Queries.delete(id, by: context.caller, on: context.database) else { throw await notTheAuthor(of: id, context) }
    return .json(Message("Post deleted"))
  }

  /// POST /posts/{post_id}/comments
  static func comment(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let post = input.pathID("post_id")
    let content = input.text("content", commentLength)
    try input.validate()
    let comment = try await Queries.comment(on: post, content: content, by: context.caller, on: context.database)
    guard let comment else { throw await context.unauthenticated(or: .notFound("Post not found")) }
    return .json(CommentReply(comment: comment))
  }

  /// GET /posts/{post_id}/comments
  static func listComments(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let post = input.pathID("post_id")
    let page = input.page()
    try input.validate()
    let comments = try await Queries.comments(of: post, page, on: context.database)
    if comments.isEmpty {
      let author = try await Queries.author(of: post, on: context.database)
      guard author != nil else { throw .notFound("Post not found") }
    }
    return .list(comments, page, request) { $0.id }
  }

  /// POST /posts/{post_id}/likes
  static func like(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let post = try request.path.id("post_id")
    guard try await Queries.like(post, by: context.caller, on: context.database) else {
      throw await context.unauthenticated(or: .notFound("Post not found"))
    }
    return .json(Message("Post liked"))
  }

  /// DELETE /posts/{post_id}/likes
  static func unlike(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let post = try request.path.id("post_id")
    guard try await Queries.unlike(post, by: context.caller, on: context.database) else {
      throw await context.unauthenticated(or: .notFound("Like not found"))
    }
    return .json(Message("Like removed"))
  }

  /// Why the caller could not change a post.
  private static func notTheAuthor(of post: Int64, _ context: Context) async -> APIError {
    do throws(APIError) {
      let author = try await Queries.author(of: post, on: context.database)
      let isOfAnother = author != nil && author != context.caller.userID
      return await context.unauthenticated(
        or: isOfAnother ? .forbidden("Not the author of this post") : .notFound("Post not found"))
    } catch {
      return error
    }
  }
}
