// A service for tests, made as Chatty's own are: a worker process that can be sent signals, and whose handlers do on request what
// is otherwise hard to catch in the act.

import ServiceKit

Service.run(Probe.self)
