import ServiceKit

Service.run(FeedService.self)
