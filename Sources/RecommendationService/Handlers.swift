// What each route of chatty-recommendations does.

import ServiceKit

extension RecommendationService {
  /// GET /recommendations?limit=
  static func recommend(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let limit = input.queryInteger("limit", 1...50, default: 5)
    try input.validate()
    let recommendations = try await Queries.recommendations(
      for: context.caller, limit: limit, neighbours: context.settings.recommendationNeighbours, on: context.database)
    if recommendations.isEmpty {
      guard try await Queries.stands(context.caller, on: context.database) else { throw .unauthorized }
      return .json(RecommendationReply(message: "No recommendations available", posts: []))
    }
    return .json(RecommendationReply(message: "Recommended posts", posts: recommendations))
  }
}
