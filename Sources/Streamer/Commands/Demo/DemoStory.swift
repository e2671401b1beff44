/// What happens in the demo's shop, step by step, and what has to arrive of it.
enum DemoStory {
  /// One step: a few statements and the events that they must lead to.
  struct Step {
    /// What it shows.
    let title: String
    /// The statements, as they are run and shown.
    let sql: String
    /// How many events each table must give.
    let events: [String: Int]
    /// Those that say that a table was emptied: rows alone cannot.
    var truncates: [String: Int] = [:]

    /// How many records of a format each table must give.
    func records(_ format: FormatConfiguration.Name) -> [String: Int] {
      format == .flat ? events : events.merging(truncates, uniquingKeysWith: +)
    }
  }

  /// The database.
  static let database = "shop"
  /// The publication.
  static let publication = "demo"
  /// The tables, all in the schema public.
  static let tables = ["customers", "products", "orders", "carts"]
  /// How many partitions each topic has: the embedded broker keeps 5 MiB of a partition.
  static let partitions = 6

  /// Creates the tables and the publication.
  static let schema = """
    CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL, tags text[], profile jsonb);
    CREATE TABLE products (sku text PRIMARY KEY, title text NOT NULL, price numeric(10,2), \
    manual text);
    ALTER TABLE products ALTER manual SET STORAGE EXTERNAL;
    CREATE TABLE orders (id bigint PRIMARY KEY, customer int, sku text, quantity int, \
    total numeric(12,2), placed timestamptz DEFAULT now());
    CREATE TABLE carts (id int PRIMARY KEY, customer int);
    CREATE PUBLICATION \(publication) FOR ALL TABLES
    """

  /// What is in the tables before anything is streamed.
  static let existing = Step(
    title: "Rows that were there before: each arrives once, as \"read\"",
    sql: """
      INSERT INTO customers VALUES (100, 'grace@example.org', '{vip}', '{"city": "New York"}');
      INSERT INTO products VALUES ('desk', 'Desk', 249.00, 'four screws'), ('chair', 'Chair', 89.00, NULL)
      """,
    events: ["customers": 1, "products": 2])

  /// The steps whose records are shown.
  static let steps = [
    Step(
      title: "One transaction over three tables",
      sql: """
        BEGIN;
        INSERT INTO customers VALUES (1, 'ada@example.org', '{new,vip}', '{"city": "London"}');
        INSERT INTO products VALUES ('lamp', 'Desk lamp', 39.90, repeat('manual ', 600));
        INSERT INTO orders VALUES (1, 1, 'lamp', 2, 79.80, '2026-11-23 08:15:50.123456+00');
        COMMIT
        """,
      events: ["customers": 1, "products": 1, "orders": 1]),
    Step(
      title: "An update; the large value is stored apart (TOAST) and is not sent again",
      sql: "UPDATE products SET price = 34.90 WHERE sku = 'lamp'", events: ["products": 1]),
    Step(
      title: "A changed key: the row goes away under the old key and comes under the new one",
      sql: "UPDATE products SET sku = 'lamp-2' WHERE sku = 'lamp'", events: ["products": 2]),
    Step(
      title: "A transaction that is rolled back: nothing arrives of it",
      sql: """
        BEGIN;
        INSERT INTO carts VALUES (99, 1);
        ROLLBACK;
        INSERT INTO carts VALUES (1, 1)
        """,
      events: ["carts": 1]),
    Step(
      title: "A delete and a truncate",
      sql: "DELETE FROM orders WHERE id = 1; TRUNCATE carts", events: ["orders": 1],
      truncates: ["carts": 1]),
  ]

  /// How many transactions the load commits.
  static let transactions = 400
  /// How many rows each of them inserts.
  static let rows = 50
  /// How many events the load must lead to.
  static var loadEvents: Int { transactions * rows }

  /// One transaction of the load.
  static func load(_ transaction: Int) -> String {
    let first = 1000 + transaction * rows
    return """
      INSERT INTO orders SELECT id, id % 1000, 'sku-' || id % 50, 1 + id % 9, id * 1.25 \
      FROM generate_series(\(first), \(first + rows - 1)) id
      """
  }

  /// What psql-streamer is told; the same could stand in a file.
  static func configuration(
    dsn: String, store: String, hosts: String, _ format: FormatConfiguration.Name
  ) -> String {
    """
    store = "\(store)"

    [source.shop]
    type = "postgres"
    dsn = "\(dsn)"
    publication = "\(publication)"
    replicationSlot = "psql_streamer_demo"
    snapshot = "initial"

    [sink.kafka]
    type = "kafka"
    sources = ["shop"]
    hosts = [\(hosts.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ", "))]
    topicTemplate = "{database}.{schema}.{table}"
    \(lines(format).joined(separator: "\n"))

    """
  }

  /// What the sink is told of its format: one record for each event.
  private static func lines(_ format: FormatConfiguration.Name) -> [String] {
    guard format != .psqlStreamer else { return [] }
    var lines = ["format = \"\(format.rawValue)\""]
    if format == .flat { lines.append(#"flat = { deletes = "rewrite" }"#) }
    if format.hasSchemas { lines.append(#"registry = { urls = ["http://127.0.0.1:8081"] }"#) }
    if format.isDebeziums {
      lines.append("debezium = { tombstones = false, skippedOperations = [] }")
    }
    return lines
  }

  /// The topic that the configuration's template gives a table.
  static func topic(of table: String) -> String { "\(database).public.\(table)" }
}
