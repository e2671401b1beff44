/// Where a driver's blocking work is done, one piece after the other: in the program an
/// ``IOWorker``, in the simulation a script.
protocol WorkQueue<Answer>: AnyObject, Sendable {
  associatedtype Answer: Sendable

  /// Readable while answers wait.
  var eventDescriptor: CInt { get }
  /// Hands a piece of work over.
  func submit(_ work: @escaping @Sendable () -> Answer)
  /// Takes the answers that wait, in the order of their work.
  func takeAnswers() -> [Answer]
  /// Nothing more will be submitted; with `isIdle` the work is done and its thread ends now, else
  /// it is left behind to end by itself.
  func end(isIdle: Bool)
}

/// Numbers of a driver's descriptors in its poller.
enum DriverTag {
  /// A request to stop.
  static let control: UInt64 = 0
  /// An answer of the I/O worker.
  static let worker: UInt64 = 1
  /// What the source waits for: the server, or the group.
  static let source: UInt64 = 2
  /// The first lane's sink; the others follow.
  static let firstLane: UInt64 = 16
}
