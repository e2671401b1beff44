/// The ends of a stream.
extension ReplicationStream {
  /// Ends the stream at once: says good-bye and waits for nothing.
  ///
  /// A server that is sending finds the connection broken, and says so in its log.
  public consuming func close() {
    if failure == nil { FrontendMessage.copyDone(into: &output) }
    terminate()
  }

  /// Ends the stream in an orderly way and says whether the server took part in it.
  ///
  /// It sends CopyDone, drops what the server still sends until it is ready for the next command, and
  /// says good-bye: nothing of it is an error in the server's log. It blocks, at most for `limit`;
  /// when the server takes longer, as in the middle of a large transaction, the connection is closed
  /// all the same. ``received`` must begin with a message's start, as it does when only whole messages
  /// were consumed, or with the last `rest` bytes of one.
  @discardableResult public consuming func close(within limit: Duration, rest: Int = 0) -> Bool {
    guard failure == nil else { return false }
    FrontendMessage.copyDone(into: &output)
    let isOrderly = (try? finish(CommandEnding(rest: rest), Deadline(after: limit))) ?? false
    terminate()
    return isOrderly
  }

  /// Sends what waits and reads to the end of the command; false when time is up, or the server
  /// closes or says what no server says.
  private mutating func finish(
    _ ending: CommandEnding, _ deadline: Deadline
  ) throws(PGError) -> Bool {
    var ending = ending
    while true {
      guard (try? ending.take(input.readable)) != nil else { return false }
      if ending.isOver { return true }
      input.consume(input.count)
      if wantsWrite { try flush() }
      guard failure == nil, !deadline.hasPassed else { return false }
      switch try drain() {
      case .bytes: break
      case .closed: return false
      case .wouldBlock:
        guard try transport.wait(orToWrite: wantsWrite, until: deadline) else { return false }
      }
    }
  }

  private mutating func drain() throws(PGError) -> Transport.Outcome {
    var outcome = Transport.Outcome.wouldBlock
    _ = try unsafe input.withRoom { room throws(PGError) -> Int in
      outcome = try unsafe transport.read(into: room)
      guard case .bytes(let count) = outcome else { return 0 }
      return count
    }
    return outcome
  }

  private mutating func terminate() {
    guard failure == nil else { return }
    FrontendMessage.terminate(into: &output)
    // What does not go into the socket at once is not worth waiting for.
    try? flush()
    transport.shutDown()
  }
}
