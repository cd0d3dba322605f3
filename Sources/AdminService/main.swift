import ServiceKit

Service.run(AdminService.self)
