import ServiceKit

Service.run(AuthService.self)
