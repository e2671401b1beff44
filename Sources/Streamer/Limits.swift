import PGWire

/// The bounds of everything that could grow, with their units.
enum Limits {
  /// Transactions of one sink that are read and not yet delivered.
  static let unsettledTransactions = 1 << 16
  /// Bytes that a change takes as it was received: a larger one is refused, unless the source sets
  /// another limit.
  static let rowBytes = 16 << 20
  /// Levels of a JSON document that becomes part of an event: jq 1.6 reads 256 with the event's own.
  static let jsonDepth = 240
  /// Digits in a row of a number in such a document: Python reads 4300.
  static let jsonDigits = 4_300
  /// Records of a sink's outbox that wait for their topics before nothing more is read.
  static let awaitedRecords = 1 << 14
  /// Bytes that they take then.
  static let awaitedBytes = 4 << 20
  /// Values that decide an outbox' topics and are remembered, before all are forgotten.
  static let outboxValues = 1 << 14
  /// Tables that are looked up before their rows are met.
  static let lookUpsAhead = 1 << 12
  /// Transactions that are kept in mind until a snapshot is known to see them.
  static let readTransactions = 1 << 16
  /// Bytes of existing rows that are fetched at once.
  static let rowBlockBytes = 1 << 20
  /// How long the stream may take to the place where existing rows belong: as long is their snapshot
  /// open.
  static let fencePatience = Duration.seconds(10)
  /// Bytes that are received behind the place where existing rows belong, before their snapshot is
  /// given up.
  static let fenceWindow = 128 << 10
  /// How long a question about existing rows may take.
  static let snapshotQuestion = Duration.seconds(60)
  /// How far apart the moments are by which the pace of a copy is told, and how many of them count.
  static let copySample = Duration.seconds(1)
  static let copySamples = 30
  /// How long existing rows are waited for at once: whatever else the worker has to do waits too.
  static let snapshotPatience = Duration.milliseconds(100)
  /// The same where several connections read.
  static let readerPatience = Duration.milliseconds(5)
  /// How long a table's lock is waited for, which holds up whoever waits behind us.
  static let snapshotLock = Duration.seconds(2)
  /// How long a table's lock is waited for where it is only about its size.
  static let sizeLock = Duration.milliseconds(200)
  /// How long a client of the HTTP server waits for what comes of a wish for existing rows, and as long
  /// again once it is being carried out.
  static let copyAnswer = Duration.seconds(5)
  /// How long to wait before a signal is tried again that could not be followed.
  static let signalRetry = Duration.seconds(1)
  /// How long to wait before a signal topic is looked at again, and after it could not be.
  static let signalLook = Duration.seconds(1)
  static let signalOutage = Duration.seconds(5)
  /// Records of a signal topic that are read at once.
  static let signalRecords = 1_000
  /// Bytes that a request to the HTTP server may bring.
  static let adminBody = 64 << 10
  /// Rows of a table that are read once more, each by itself, since their keys were changed while it is
  /// copied; with more the whole table is.
  static let movedRows = 100
  /// Copies of existing rows that have ended and are still listed.
  static let keptCopies = 100
  /// Bytes of memory that a block of them begins with.
  static let firstBlockBytes = 64 << 10
  /// Connections that read existing rows at one snapshot.
  static let snapshotReaders = 16
  /// Rows of a part of a table behind which another connection reads on.
  static let pieceRows = 20_000
  /// Tables whose existing rows are read at one snapshot.
  static let roundTables = 32
  /// Into how many parts `verify` divides keys, one of which is in memory.
  static let verifyBuckets = 128
  /// Bytes of such a part that are written at once.
  static let verifyTailBytes = 32 << 10
  /// Bytes of memory that such a part begins with.
  static let verifyTailStart = 4 << 10
  /// Bytes of records that `verify` makes of a table's rows at once.
  static let verifyInFlight = 64 << 20
  /// How long `verify` waits for records before it looks for signals, and for a client's end.
  static let verifyTurn = Duration.seconds(2)
  /// How often `verify` tells how far it is where it has no terminal.
  static let verifyLine = Duration.seconds(10)
  /// How often a line on a terminal that says how far something is is written over.
  static let redraw = Duration.milliseconds(100)
  /// How often it is looked whether there is something to say in such a line.
  static let lineLook = Duration.milliseconds(500)
  /// How often `verify` looks at the slot that it waits for.
  static let verifyLook = Duration.milliseconds(200)
  /// Records that `verify` reads before it looks for signals.
  static let verifyPiece = 100_000
  /// Rows that `verify` reads at one snapshot of the server.
  static let verifyPartRows = 500_000
  /// Rows and records of tables that `verify` compares together, if it can cut them so.
  static let verifyPart: Int64 = 200_000
  /// The same in seconds, with `--rate`.
  static let verifyPartSeconds: Int64 = 10
  /// Bytes of a file of `verify --resume`.
  static let verifyResumption = 256 << 20
  /// How long a slot has no reader before `verify` believes that there is none.
  static let verifyAbsence = Duration.seconds(5)
  /// So many snapshots given up one after the other are a reason to say why.
  static let snapshotsGivenUp = 5
  /// How long the instance's slot may stand still while `verify` waits for it.
  static let verifyPatience = Duration.seconds(60)
  /// Keys of one table that `verify --repair` has copied at most; of more the table is copied.
  static let verifyRepairs = 10_000
  /// Keys that stand in one condition of such a copy.
  static let verifyRepairKeys = 500
  /// Bytes of encoded records that gather before they are handed to a sink.
  static let batchBytes = 256 << 10
  /// Bytes of encoded records that gather for a sink that takes none, before reading waits.
  static let gatheredBytes = 1 << 20
  /// Bytes from which on a block of memory goes back to the system as soon as it is free.
  static let mappedBytes = 1 << 20
  /// Bytes of lines that a file or standard output is given at once, about.
  static let linePieceBytes = 2 << 20
  /// Bytes of a file of events that are looked at once when it is opened.
  static let lineBlockBytes = 64 << 10
  /// Records that were held and are sent at once.
  static let heldRecords = 1 << 10
  /// Bytes of records that a sink holds back on disk, unless the configuration says so.
  static let quarantineBytes = 1 << 30
  /// Bytes of a key that is shown for the first record that is held.
  static let shownKeyBytes = 256
  /// After what time a disk is tried again that had no room for records that are held.
  static let quarantineRetry = Duration.seconds(1)
  /// Receipts for which a sink keeps its memory; what a burst took beyond goes back.
  static let keptReceipts = 1 << 10
  /// Bytes delivered after which the position is saved without waiting for the interval.
  static let saveAfterBytes = 8 << 20
  /// What a record may take besides its key and value, in bytes.
  static let recordOverheadBytes = 512
  /// Bytes of a kept transaction that are read before everything else has its turn.
  static let replaySliceBytes = 1 << 20
  /// Bytes of memory that are kept for the text of a row that came in binary.
  static let rowTextBytes = 1 << 20
  /// Bytes of an open transaction that are written to its file, and read from it, at once.
  static let spoolBlockBytes = 256 << 10
  /// Bytes of memory that an open transaction begins with.
  static let spoolSpareBytes = 16 << 10
  /// Starts of an open transaction's subtransactions that are written to its file at once; up to twice
  /// as many are in memory.
  static let subtransactionRun = 1 << 10
  /// How often the server may ask in vain for a position before the connection is given up: it
  /// waits for us in order to shut down.
  static let shutdownPings = 10
  /// After how long without a byte of the server a reply is asked for, and how long each is waited for.
  static let probe = Duration.seconds(10)
  /// How many requests for a reply go unanswered before the connection counts as lost.
  static let unansweredProbes = 3
  /// The first pause before what failed is tried again; each that follows is twice as long.
  static let firstRetry = Duration.milliseconds(100)
  /// The longest pause before what failed is tried again, unless the source sets another.
  static let longestRetry = Duration.seconds(5)
  /// How long a stop may take unless the configuration says so.
  static let shutdown = Duration.seconds(30)
  /// Signals to end that come closer together than this are one.
  static let sameSignal = Duration.milliseconds(300)
  /// How often it is looked whether a gap's keys have to be compared, and how long after it could not
  /// be done.
  static let gapLook = Duration.seconds(1)
  static let gapRetry = Duration.seconds(10)
  /// Records and keys that are compared in a second after a gap, at most.
  static let gapRate = 20_000
  /// Entries of a source's ledger of gaps.
  static let gaps = 1_000
  /// Of them, those that `position show` prints.
  static let shownGaps = 10
  /// The longest sleep of a driver's thread.
  static let longestSleep = Duration.seconds(1)
  /// How long closing what nobody uses any more may take.
  static let release = Duration.seconds(1)
  /// How often a recorder looks what is due while nothing comes.
  static let recorderTick = Duration.milliseconds(250)
  /// How often the server must hear of us while it has not said how often.
  static let statusInterval = Duration.seconds(10)
  /// How long a server may ask in vain for a position before the connection is given up.
  static let shutdownPatience = Duration.seconds(1)
  /// How often a cluster is asked whether an outage is over.
  static let kafkaProbe = Duration.seconds(1)
  /// Bytes of a recording that are read before sinks are asked again.
  static let recordingSlice = 1 << 20
  /// What an end may take beyond its deadline: what is stuck then is left behind.
  static let closingGrace = Duration.milliseconds(500)
  /// The shortest pause between two updates of status and metrics.
  static let observation = Duration.milliseconds(200)
  /// Bytes of a row that are hashed for a dead letter.
  static let hashedBytes = 64 << 20
  /// Bytes of a key that a dead letter keeps.
  static let deadKeyBytes = 64 << 10
  /// Notices that came inside a stream and wait for the log.
  static let notices = 16
  /// How long one attempt's questions to the server may take, but at the start.
  static let question = Duration.seconds(60)
  /// The least that an attempt at the start is given for them.
  static let shortestAttempt = Duration.seconds(2)
  /// How long a look-up that is under way may still take when a stop has begun.
  static let lookUpGrace = Duration.seconds(1)
  /// How long the server may take to show a slot: whoever ends waits for that answer.
  static let slotAnswer = Duration.seconds(5)
  /// After what time it is said what holds up the creation of a slot.
  static let slotPatience = Duration.seconds(2)
  /// How long after a look at the server the next one comes while a transaction is not visible: twice
  /// as long each time.
  static let firstVisibilityPause = Duration.milliseconds(1)
  /// The longest such pause.
  static let longestVisibilityPause = Duration.milliseconds(100)
  /// After what time it is said that a transaction waits to be visible.
  static let visibilityPatience = Duration.seconds(5)
  /// How often a slot is looked at for the WAL that it holds.
  static let slotCheck = Duration.seconds(10)
  /// After what time a server is asked for a slot again that could not be asked.
  static let slotCheckAfterFailure = Duration.seconds(60)
  /// How many looks at a slot tell how fast the log grows that it holds.
  static let slotLooks = 30
  /// The time left before the server takes away a slot's log from which on a line says so.
  static let shortWALTime = Duration.seconds(3600)
  /// How long the drop of a slot is tried while the server has not noticed that its reader is gone.
  static let slotDrop = Duration.seconds(5)
  /// How often a standby looks whether the slot has become free.
  static let standbyPoll = Duration.seconds(1)
  /// After what time sinks are asked again that have not answered what a reload needs.
  static let reloadRetry = Duration.seconds(1)
  /// How long one attempt to reach Kafka may take before it counts as failed.
  static let kafkaStart = Duration.seconds(10)
  /// How long Kafka may take to answer about a topic.
  static let kafkaRequest = Duration.seconds(10)
  /// How long the report of a refused record is waited for once the producer has ended over it.
  static let kafkaReason = Duration.seconds(2)
  /// From how many producers on `check` says what they take.
  static let manyProducers = 40
  /// What one of them takes, as measured with twenty sources on twenty sinks.
  static let producerCost = (threads: 3, descriptors: 6, bytes: 4 << 20)
  /// How long a Kafka transaction stays open, unless the sink sets another time.
  static let transactionInterval = Duration.milliseconds(100)
  /// Bytes of records that it takes, unless the sink sets another limit.
  static let transactionBytes = 64 << 20
  /// How long it stays open inside one large transaction of the source.
  static let longestTransaction = Duration.seconds(5)
  /// How often a position that moves without records is committed.
  static let idlePosition = Duration.seconds(1)
  /// After what time the broker gives up a transaction that nobody ends.
  static let transactionTimeout = Duration.seconds(15)
  /// How long the outcome of a commit is asked for.
  static let transactionOutcome = Duration.seconds(15)
  /// How long one call waits for it, so that a stop need not wait longer.
  static let commitAnswer = Duration.seconds(1)
  /// How long a commit takes of which no request was certainly repeated.
  static let certainCommit = Duration.milliseconds(800)
  /// How long the end of a position's topic is looked for.
  static let positionRead = Duration.seconds(10)
  /// Between two looks whether a transaction is decided, in microseconds.
  static let decisionPause: UInt32 = 20_000
  /// Between two looks whether the mark of a commit is there, in microseconds.
  static let markPause: UInt32 = 2_000
  /// Records at the end of a position's topic among which the last position is looked for first.
  static let positionTail: Int64 = 1_000
  /// Bytes of segments that a position's topic is kept in.
  static let positionSegmentBytes = 16 << 20
  /// A producer that is shut out so soon after it has begun, twice in a row, has a rival.
  static let rivalry = Duration.seconds(10)
  /// How often topics are looked at for partitions that were added.
  static let partitionsCheck = Duration.seconds(30)
  /// How often while a sink has trouble.
  static let troubleCheck = Duration.seconds(10)
  /// How long that may take.
  static let partitionsAnswer = Duration.seconds(2)
  /// Records of one partition and sink that are read from Kafka and not yet delivered.
  static let kafkaUnsettledRecords = 1 << 12
  /// Tables whose events came from Kafka, before all are looked up again.
  static let kafkaTables = 1 << 14
  /// Records that one poll of a Kafka source brings.
  static let kafkaPollRecords = 512
  /// How often the offsets of a Kafka source are committed.
  static let kafkaCommitInterval = Duration.seconds(1)
  /// How long the broker may take to answer a commit that is waited for.
  static let kafkaCommit = Duration.seconds(5)
  /// How long deliveries are waited for when the group takes a partition away.
  static let kafkaRevocation = Duration.seconds(5)
  /// Bytes of a schema registry's answer.
  static let registryAnswerBytes = 1 << 20
  /// How long a connection to a schema registry may take.
  static let registryConnect = Duration.seconds(3)
  /// How long a schema registry may take to answer.
  static let registryAnswer = Duration.seconds(10)
  /// Characters of its messages that are shown.
  static let registryMessage = 400
  /// Schemas whose numbers are remembered.
  static let registeredSchemas = 1 << 14
  /// How long one that does not answer is not asked again for what is known from before.
  static let registryRest = Duration.seconds(10)
  /// Bytes of the file with what registries have answered.
  static let schemaCacheBytes = 64 << 20
  /// After how long without reading the partitions are paused, so that polling can go on and the
  /// group sees a member that lives.
  static let kafkaPauseAfter = Duration.seconds(1)
  /// How long nothing is committed after partitions were given back, when the group says nothing.
  static let kafkaRejoin = Duration.seconds(10)
  /// The shortest time that a broker is given to answer a request of the producer.
  static let shortestRequest = Duration.seconds(1)
  /// How many strands of a lane can be told apart by their tickets.
  static let strands = 1 << 16
  /// Bytes of text that are escaped at once.
  static let escapeChunkBytes = 16 << 10
  /// Bytes of memory that are kept between two values.
  static let scratchBytes = 64 << 10
  /// How long an HTTP request may take to arrive, and a connection may lie idle.
  static let requestAge = Duration.seconds(5)
  /// How long an HTTP client may take to read an answer.
  static let answerAge = Duration.seconds(60)
  /// How long records may wait without the sink delivering anything before it is not ready.
  static let readyPatience = Duration.seconds(30)
  /// How long a server may be silent before its source is not ready.
  static let readySilence = Duration.seconds(40)
  /// Characters of what `systemctl status` shows of sources and sinks.
  static let managerStatus = 1_000
  /// The time over which lines of one kind are counted that may go into the log.
  static let logWindow = Duration.seconds(1)
  /// How long the series of a table stay that nobody describes: a reconnect must not reset them.
  static let tableSeriesPatience = Duration.seconds(3600)
  /// The shortest pause between two searches for tables that nobody describes.
  static let tableSeriesSweep = Duration.seconds(10)
  /// How many levels a condition of a sink may be nested, and a domain over others.
  static let whereDepth = 30
  /// How many digits a number of a condition has at most.
  static let whereDigits = 2_000
  /// How many characters a mask keeps or writes at most.
  static let maskCharacters = 10_000
}
