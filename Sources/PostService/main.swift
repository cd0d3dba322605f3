import ServiceKit

Service.run(PostService.self)
