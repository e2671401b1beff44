import PGWire

/// Up to where the stream has been looked through for tables that will be needed.
struct TableScan {
  /// Where the next message begins that has not been looked at, by the stream's bytes.
  var offset: UInt64 = 0
  /// Whether that is inside a chunk, or a prepared transaction: what stands there is kept.
  var isKept = false
  /// The transaction that it belongs to; nil outside of one.
  var commitLSN: LSN?
}

/// While a row waits for its table, the tables behind it are asked for as well: many look-ups at once
/// cost hardly more than one.
extension Pipeline {
  /// Asks for the tables that the rest of the window, or of the kept transaction, describes.
  mutating func lookAhead(_ window: RawSpan, from consumed: Int) {
    if var replay = replay.take() {
      lookAhead(&replay)
      self.replay = consume replay
      return
    }
    if scan.offset <= streamOffset {
      scan = TableScan(offset: streamOffset, commitLSN: transaction?.commitLSN)
    }
    var offset = consumed + Int(scan.offset - streamOffset)
    // What is malformed is said when it is read.
    while tables.outstanding < Limits.lookUpsAhead, offset < window.byteCount,
      case .complete(let frame)? = try? MessageFrame.scan(window, at: offset)
    {
      if frame.tag == .copyData, frame.body.count > 25 {
        lookAt(window.extracting(frame.body))
      }
      scan.offset += UInt64(frame.end - offset)
      offset = frame.end
    }
  }

  private mutating func lookAt(_ body: RawSpan) {
    guard case .xLogData(let start, _, let payload)? = try? ReplicationMessage(body),
      payload.byteCount > 0
    else { return }
    switch payload[0] {
    case UInt8(ascii: "S"), UInt8(ascii: "b"): scan.isKept = true
    case UInt8(ascii: "E"), UInt8(ascii: "P"): scan.isKept = false
    case UInt8(ascii: "C"): scan.commitLSN = nil
    case UInt8(ascii: "B"):
      var decoder = PgOutputDecoder()
      if case .begin(let begin)? = try? decoder.decode(payload) { scan.commitLSN = begin.finalLSN }
    case UInt8(ascii: "R") where !scan.isKept:
      var decoder = PgOutputDecoder()
      guard case .relation(let relation)? = try? decoder.decode(payload) else { return }
      ask(ahead: relation, .stream(scan.offset), at: scan.commitLSN ?? max(start, sent))
    default: break
    }
  }

  private mutating func lookAhead(_ replay: inout StreamReplay) {
    let position = transaction?.commitLSN ?? .zero
    while tables.outstanding < Limits.lookUpsAhead {
      do throws(SpoolFault) {
        guard let (relation, number) = try replay.nextRelation() else { return }
        ask(ahead: relation, .kept(number), at: position)
      } catch { return }  // It is said when it is read.
    }
  }

  private mutating func ask(
    ahead relation: Relation, _ place: KnownTables.MessagePlace, at position: LSN
  ) {
    guard tables.needsLookUp(ahead: relation, at: place) else { return }
    let request = request(for: relation, at: position)
    requests.append(request)
    tables.ask(request, ahead: place)
  }
}
