// What a moderator can do, what comes of it, and the bodies of chatty-admin's answers.

import ServiceKit

enum Role: String, CaseIterable {
  case user
  case moderator
  case admin
}

/// Something to do to one user, post or comment.
enum Action {
  case blockUser
  case unblockUser
  case setRole(Role)
  case deletePost
  case deleteComment

  /// As moderation_actions calls it.
  var name: String {
    switch self {
    case .blockUser: "block_user"
    case .unblockUser: "unblock_user"
    case .setRole: "set_role"
    case .deletePost: "delete_post"
    case .deleteComment: "delete_comment"
    }
  }

  /// The role to set.
  var role: Role? {
    if case .setRole(let role) = self { role } else { nil }
  }

  /// Moderators act on content only, admins on everything.
  var isForModerators: Bool {
    switch self {
    case .deletePost, .deleteComment: true
    case .blockUser, .unblockUser, .setRole: false
    }
  }

  /// What it acts on, as error texts call it.
  var targetName: String {
    switch self {
    case .blockUser, .unblockUser, .setRole: "User"
    case .deletePost: "Post"
    case .deleteComment: "Comment"
    }
  }
}

/// What came of an action.
enum Outcome: String, RowDecodable {
  case applied
  /// There is no such target.
  case missing
  /// The target is of an equal or a higher role, or the caller's own account.
  case forbidden

  init(row: inout RowReader) throws(PostgresError) {
    let name: String = try row.next()
    guard let outcome = Outcome(rawValue: name) else { throw PostgresError(.decoding, "'\(name)' is no outcome") }
    self = outcome
  }
}

struct StatsReply: Encodable {
  let message = "Activity stats"
  let stats: Stats
}

struct Stats: Encodable, RowDecodable {
  let users: Int64
  let activeUsers: Int64
  let posts: Int64
  let comments: Int64
  let likes: Int64
  let subscriptions: Int64
  let openReports: Int64

  init(row: inout RowReader) throws(PostgresError) {
    users = try row.next()
    activeUsers = try row.next()
    posts = try row.next()
    comments = try row.next()
    likes = try row.next()
    subscriptions = try row.next()
    openReports = try row.next()
  }

  private enum CodingKeys: String, CodingKey {
    case users = "total_users"
    case activeUsers = "active_users"
    case posts = "total_posts"
    case comments = "total_comments"
    case likes = "total_likes"
    case subscriptions = "total_subscriptions"
    case openReports = "open_reports"
  }
}
