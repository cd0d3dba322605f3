import ServiceKit

Service.run(RecommendationService.self)
