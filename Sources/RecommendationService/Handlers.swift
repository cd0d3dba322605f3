// What each route of chatty-recommendations does.

import LikeIndex
import ServiceKit

extension RecommendationService {
  /// GET /recommendations?limit=
  static func recommend(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let limit = input.queryInteger("limit", 1...50, default: 5)
    try input.validate()
    let recommendations: [Recommendation]
    if let index, let graph = index.current() {
      recommendations = try await recommend(Int(limit), by: index, graph, context)
    } else {
      recommendations = try await Queries.recommendations(
        for: context.caller, limit: limit, neighbours: context.settings.recommendationNeighbours,
        damping: context.settings.recommendationDamping, on: context.database)
      if recommendations.isEmpty { try await context.requireSession() }
    }
    if recommendations.isEmpty { return .json(RecommendationReply(message: "No recommendations available", posts: [])) }
    return .json(RecommendationReply(message: "Recommended posts", posts: recommendations))
  }

  /// Neighbours, and how many more are asked for: of those whom the index names one may have been blocked since.
  private static let spareNeighbours = 2
  /// Popular posts, and how many more are asked for at first: some may be hidden since.
  private static let sparePosts = 20

  /// What the caller likes, who else does by the index, and what those like: the first and the last are asked of the database.
  private static func recommend(
    _ limit: Int, by index: IndexInUse, _ graph: LikeGraph, _ context: Context
  ) async throws(APIError) -> [Recommendation] {
    let (caller, settings) = (context.caller, context.settings)
    guard let liked = try await Queries.liked(by: caller, on: context.database) else { throw .unauthorized }
    let neighbours = index.neighbours(
      of: caller, liking: liked, in: graph, limit: settings.recommendationNeighbours + spareNeighbours,
      damping: settings.recommendationDamping)
    // As many may be recommended already because of a neighbour.
    var candidates = 2 * limit + sparePosts
    while true {
      let popular = graph.popularPosts(for: caller.userID, besides: liked, limit: candidates)
      if neighbours.isEmpty, popular.isEmpty { return [] }
      let found = try await Queries.recommendations(
        for: caller, liking: liked, limit: Int64(limit), neighbours: settings.recommendationNeighbours, among: neighbours,
        popular: popular, damping: settings.recommendationDamping, on: context.database)
      if found.count == limit || popular.count < candidates { return found }
      // So many are hidden since: the author of what was most popular has been blocked. There are more.
      candidates *= 10
    }
  }
}
