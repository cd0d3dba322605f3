/// The isolation of everything that runs on the event loop: handlers, the database, connections.
///
/// A process has one loop and the loop has one thread, so code on this actor never needs a lock, and a call from one such
/// function to another is a plain call.
@globalActor
public actor Worker {
  public static let shared = Worker()

  public nonisolated var unownedExecutor: UnownedSerialExecutor { Loop.shared.asUnownedSerialExecutor() }
}
