import EventLoop

Loop.shared.run { await OutboxWorker.run() }
