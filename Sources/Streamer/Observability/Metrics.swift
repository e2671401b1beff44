import Synchronization

/// All metrics of the process.
///
/// A handle is looked up once, with its labels, and then updated without a lock and without
/// this registry. Asking again with the same labels gives the same handle, so a reconnect goes
/// on counting. A class, because every pipeline and the HTTP thread share it.
final class Metrics: Sendable {
  /// A label's name and value, in the order in which they are printed.
  typealias Labels = [(name: String, value: String)]

  /// How many tables of one source have series of their own unless the configuration says more.
  static let standardTables = 1000

  /// How many tables of one source have series of their own; the others share one, so that ten
  /// thousand tables neither become a memory leak nor make scrapes slow.
  let tableLimit: Int

  private let families = Mutex<[String: MetricFamily]>([:])

  /// Makes a registry without series.
  init(tables: Int = standardTables) { tableLimit = tables }

  /// The counter of that name and those labels.
  func counter(_ name: String, _ help: String, _ labels: Labels = []) -> Counter {
    guard case .counter(let counter) = series(name, help, labels, .counter, { .counter(Counter()) })
    else { preconditionFailure("metric \(name) is no counter") }
    return counter
  }

  /// The gauge of that name and those labels.
  func gauge(_ name: String, _ help: String, _ labels: Labels = []) -> Gauge {
    guard case .gauge(let gauge) = series(name, help, labels, .gauge, { .gauge(Gauge()) })
    else { preconditionFailure("metric \(name) is no gauge") }
    return gauge
  }

  /// A count that rises by fractions or is taken over from elsewhere: a counter for Prometheus,
  /// with a gauge's handle.
  func fractionalCounter(_ name: String, _ help: String, _ labels: Labels = []) -> Gauge {
    guard case .gauge(let gauge) = series(name, help, labels, .counter, { .gauge(Gauge()) })
    else { preconditionFailure("metric \(name) counts whole numbers") }
    return gauge
  }

  /// The histogram of that name and those labels; all series of a name have the same bounds.
  func histogram(
    _ name: String, _ help: String, _ labels: Labels = [],
    bounds: [Double] = Histogram.defaultSeconds
  ) -> Histogram {
    let found = series(name, help, labels, .histogram) { .histogram(Histogram(bounds: bounds)) }
    guard case .histogram(let histogram) = found else {
      preconditionFailure("metric \(name) is no histogram")
    }
    return histogram
  }

  private func series(
    _ name: String, _ help: String, _ labels: Labels, _ kind: MetricFamily.Kind,
    _ make: @Sendable () -> MetricFamily.Handle
  ) -> MetricFamily.Handle {
    precondition(MetricFamily.isName(name), "a metric's name has letters, digits and underscores")
    return families.withLock { families in
      var family = families[name] ?? MetricFamily(name: name, help: help, kind: kind)
      precondition(family.kind == kind, "a metric has one kind")
      // The dictionary lets go of the family, so that the change below copies nothing.
      families[name] = nil
      let handle = family.handle(labels, make)
      families[name] = family
      return handle
    }
  }

  /// Gives up a series of a table: it goes when all who have asked for it have given it up.
  func release(_ name: String, _ labels: Labels) {
    families.withLock { $0[name]?.release(labels) }
  }

  /// The counters of that name: each with its labels as they are printed.
  func counts(_ name: String) -> [(labels: String, count: UInt64)] {
    let series = families.withLock { $0[name]?.series ?? [] }
    return series.compactMap { one in
      if case .counter(let counter) = one.handle { (one.labels, counter.value) } else { nil }
    }
  }

  /// Drops every series that has this label, when its source or sink is no longer configured.
  func removeSeries(_ label: String, _ value: String) {
    families.withLock { families in
      for name in families.keys { families[name]?.remove(label, value) }
    }
  }

  /// Drops the series of one metric that have this label.
  func removeSeries(of name: String, _ label: String, _ value: String) {
    families.withLock { $0[name]?.remove(label, value) }
  }

  /// Everything as Prometheus' text, format 0.0.4, ordered by name.
  func text() -> [UInt8] {
    // Only the references are copied under the lock: writing text must not hold up a pipeline.
    let families = families.withLock { $0 }
    var text = PrometheusText()
    for family in families.values.sorted(by: { $0.name < $1.name }) { text.append(family) }
    return text.bytes
  }
}
