// What each route of chatty-posts does.

import ServiceKit

extension PostService {
  private static let titleLength = 1...200
  private static let contentLength = 1...20_000
  /// An empty one is none.
  static let imageAltLength = 0...1_500
  private static let commentLength = 1...4_000
  private static let reasonLength = 1...4_000

  /// GET /posts?user_id=
  static func list(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let author = input.queryID("user_id")
    let page = input.page()
    try input.validate()
    let posts = try await Queries.list(page, by: author, for: context.caller, on: context.database)
    if posts.isEmpty { try await context.requireSession() }
    return .list(posts, page, request) { $0.id }
  }

  /// POST /posts
  static func create(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = formInput(request, context)
    let text = NewPost(title: input.line("title", titleLength), content: input.text("content", contentLength))
    let image = try UploadedImage(input)
    try input.validate()
    return try await context.once(input) { database throws(APIError) in
      let post =
        if let image {
          try await createWithImage(text, image, context, database)
        } else {
          try await Queries.create(text, by: context.caller, on: database)
        }
      guard let post else { throw .unauthorized }
      return .json(PostReply(message: "Post created", post: post))
    }
  }

  /// GET /posts/{post_id}
  static func show(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let id = try request.path.id("post_id")
    let post = try await Queries.post(id, for: context.caller, on: context.database)
    guard let post else { throw await context.unauthenticated(or: .notFound("Post not found")) }
    return .json(post, version: post.version, request)
  }

  /// PATCH /posts/{post_id}
  static func update(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let id = input.pathID("post_id")
    let title = input.optionalLine("title", titleLength)
    let content = input.optionalText("content", contentLength)
    let imageAlt = input.optionalText("image_alt", imageAltLength)
    try input.validate()
    let versions = request.expectedVersions
    let post = try await Queries.update(
      id, title: title, content: content, imageAlt: imageAlt, ifOneOf: versions, by: context.caller, on: context.database)
    guard let post else {
      if let imageAlt, !imageAlt.isEmpty, try await Queries.isWithoutImage(id, of: context.caller, on: context.database) {
        throw .invalid(.value("The post has no image"), "body", "image_alt", .string(imageAlt))
      }
      throw await notChanged(id, isConditional: versions != nil, context)
    }
    return .json(PostReply(message: "Post updated", post: post))
  }

  /// DELETE /posts/{post_id}
  static func delete(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let id = try request.path.id("post_id")
    let versions = request.expectedVersions
    guard try await Queries.delete(id, ifOneOf: versions, by: context.caller, on: context.database) else {
      throw await notChanged(id, isConditional: versions != nil, context)
    }
    return .json(Message("Post deleted"))
  }

  /// POST /posts/{post_id}/comments
  static func comment(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let post = input.pathID("post_id")
    let content = input.text("content", commentLength)
    try input.validate()
    return try await context.once(input) { database throws(APIError) in
      let comment = try await Queries.comment(on: post, content: content, by: context.caller, on: database)
      guard let comment else { throw await context.unauthenticated(or: .notFound("Post not found")) }
      return .json(CommentReply(comment: comment))
    }
  }

  /// GET /posts/{post_id}/comments
  static func listComments(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let post = input.pathID("post_id")
    let page = input.page()
    try input.validate()
    let comments = try await Queries.comments(of: post, page, on: context.database)
    if comments.isEmpty { try await requireVisible(post, context) }
    return .list(comments, page, request) { $0.id }
  }

  /// DELETE /posts/{post_id}/comments/{comment_id}
  static func deleteComment(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let post = input.pathID("post_id")
    let comment = input.pathID("comment_id")
    try input.validate()
    guard try await Queries.deleteComment(comment, on: post, by: context.caller, on: context.database) else {
      let isThere = try await Queries.hasComment(comment, on: post, on: context.database)
      throw await context.unauthenticated(
        or: isThere ? .forbidden("Not allowed to delete this comment") : .notFound("Comment not found"))
    }
    return .json(Message("Comment deleted"))
  }

  /// POST /posts/{post_id}/likes
  static func like(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let post = try request.path.id("post_id")
    return try await context.once(request.input) { database throws(APIError) in
      guard try await Queries.like(post, by: context.caller, on: database) else {
        throw await context.unauthenticated(or: .notFound("Post not found"))
      }
      return .json(Message("Post liked"))
    }
  }

  /// GET /posts/{post_id}/likes
  static func listLikes(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let post = input.pathID("post_id")
    let page = input.page(by: TimedPosition.self)
    try input.validate()
    let likes = try await Queries.likes(of: post, page, on: context.database)
    if likes.isEmpty { try await requireVisible(post, context) }
    return .list(likes, page, request) { TimedPosition(time: $0.createdAt, id: $0.userID) }
  }

  /// DELETE /posts/{post_id}/likes
  static func unlike(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let post = try request.path.id("post_id")
    guard try await Queries.unlike(post, by: context.caller, on: context.database) else {
      throw await context.unauthenticated(or: .notFound("Like not found"))
    }
    return .json(Message("Like removed"))
  }

  /// POST /posts/{post_id}/reports
  static func report(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let post = input.pathID("post_id")
    let reason = input.text("reason", reasonLength)
    try input.validate()
    return try await context.once(input) { database throws(APIError) in
      guard try await Queries.report(post, because: reason, by: context.caller, on: database) else {
        throw await context.unauthenticated(or: .notFound("Post not found"))
      }
      return .json(Message("Report received"))
    }
  }

  private static func requireVisible(_ post: Int64, _ context: Context) async throws(APIError) {
    guard try await Queries.author(of: post, on: context.database) != nil else { throw .notFound("Post not found") }
  }

  /// Why the caller could not change a post.
  ///
  /// - Parameter isConditional: whether it was to be changed, or deleted, only if it is as the caller has seen it.
  private static func notChanged(_ post: Int64, isConditional: Bool, _ context: Context) async -> APIError {
    do throws(APIError) {
      guard let author = try await Queries.author(of: post, on: context.database) else {
        return await context.unauthenticated(or: .notFound("Post not found"))
      }
      guard author == context.caller.userID else {
        return await context.unauthenticated(or: .forbidden("Not the author of this post"))
      }
      // Theirs, and there: unless it has gone and come back between the two statements, it was the condition.
      return await context.unauthenticated(
        or: isConditional
          ? context.preconditionFailed("The post has changed since it was read: read it again") : .notFound("Post not found"))
    } catch {
      return error
    }
  }
}
