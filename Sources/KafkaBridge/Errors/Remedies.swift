import CRdKafka

extension KafkaError.Category {
  /// Sorts a code of the broker or of librdkafka.
  ///
  /// Only the text tells that a broker ended the connection by a TLS alert: with TLS 1.3 it refuses
  /// our certificate after the handshake.
  init(_ code: rd_kafka_resp_err_t, text: String) {
    self = Self(code)
    if self == .unreachable, text.contains("SSL routines") { self = .tls }
  }

  private init(_ code: rd_kafka_resp_err_t) {
    self =
      switch code {
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
        RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        .missingTopic
      case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: .invalidTopic
      case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
        RD_KAFKA_RESP_ERR_INVALID_CONFIG, RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        .creationRefused
      case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
        RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
        .authentication
      case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        .authorization
      case RD_KAFKA_RESP_ERR__SSL: .tls
      case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT,
        RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE:
        .unreachable
      case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        .recordTooLarge
      case RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP: .recordRefused
      case RD_KAFKA_RESP_ERR__QUEUE_FULL: .queueFull
      case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
        RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
        .fenced
      default: .other
      }
  }
}

extension KafkaError {
  /// Whether the same call may succeed later, for codes that come without that flag.
  static func isRetriable(_ code: rd_kafka_resp_err_t) -> Bool {
    switch code {
    case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT,
      RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
      RD_KAFKA_RESP_ERR__QUEUE_FULL, RD_KAFKA_RESP_ERR__WAIT_COORD,
      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
      RD_KAFKA_RESP_ERR_NOT_CONTROLLER, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
      true
    default: false
    }
  }

  /// What an operator may do about an error, when that is known.
  static func remedy(for name: String, category: Category) -> String? {
    switch name {
    case "_GAPLESS_GUARANTEE":
      return "a record before this one was refused; see the first failed report"
    case "TOPIC_AUTHORIZATION_FAILED":
      return "grant this user Describe and Write (to read: Read) on the topic"
    case "GROUP_AUTHORIZATION_FAILED": return "grant this user Read on the consumer group"
    case "TRANSACTIONAL_ID_AUTHORIZATION_FAILED":
      return "grant this user Describe and Write on the transactional id"
    case "NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS_AFTER_APPEND":
      return "fewer brokers are in sync than the topic's min.insync.replicas asks for"
    case "INVALID_REPLICATION_FACTOR":
      return "the cluster has fewer brokers than the replication factor asks for: lower it"
    default: break
    }
    switch category {
    case .missingTopic: return "create the topic, or check its name"
    case .authentication:
      return "check sasl.username, sasl.password and sasl.mechanism"
    case .authorization: return "grant this user the operation with an ACL"
    case .tls: return "check ssl.ca.location, the certificate's dates and the host name"
    case .unreachable: return "check bootstrap.servers, security.protocol and the broker"
    case .recordTooLarge:
      return "raise message.max.bytes here and max.message.bytes of the topic"
    case .recordRefused:
      return "see what the topic's cleanup.policy (compact takes no record without a key) and "
        + "message.timestamp settings ask of a record"
    case .fenced: return "another instance uses the same transactional.id, or it timed out"
    case .invalidTopic: return "map the table to a topic of another name"
    case .creationRefused: return "change how topics are created, or create the topic"
    case .configuration, .queueFull, .other: return nil
    }
  }
}
