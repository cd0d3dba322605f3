// What chatty-recommendations answers: posts that the caller may like.

import EventLoop
import ServiceKit

enum RecommendationService: ServiceDefinition {
  static let name = "recommendations"

  static let routes: [Route] = [
    .get("/recommendations", recommend, caller: .user)
  ]

  static func prepare(_ settings: Settings) throws(SettingError) { index = IndexInUse(settings) }

  /// nil before `prepare`.
  @Worker private(set) static var index: IndexInUse?
}
