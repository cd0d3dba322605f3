// What chatty-recommendations answers: posts that the caller may like.

import ServiceKit

enum RecommendationService: ServiceDefinition {
  static let name = "recommendations"

  static let routes: [Route] = [
    .get("/recommendations", recommend, caller: .user)
  ]
}
