/// Whether hosts are tried in the order of the list (libpq's `load_balance_hosts`).
public enum LoadBalanceHosts: String, Hashable, Sendable, CaseIterable {
  /// In the order of the list, and of the resolver.
  case disable
  /// Hosts, and the addresses of each host, in an order that chance decides.
  case random

  /// The elements in the order to try them.
  func order<Element>(
    _ elements: [Element], using generator: inout some RandomNumberGenerator
  ) -> [Element] {
    self == .disable ? elements : elements.shuffled(using: &generator)
  }
}

/// The hosts of a connection.
extension ConnectionParameters {
  /// Pairs up the lists of `host`, `hostaddr` and `port`.
  static func hosts(_ values: [ConnectionKeyword: String]) throws(PGError) -> [Host] {
    let names = list(values[.host])
    let addresses = list(values[.hostaddr])
    let ports = list(values[.port])
    let count = max(names.count, addresses.count, 1)
    if !names.isEmpty, !addresses.isEmpty, names.count != addresses.count {
      throw .connectionString(
        "\(names.count) host names and \(addresses.count) hostaddr values do not match. "
          + "Give as many of each")
    }
    guard ports.count <= 1 || ports.count == count else {
      throw .connectionString(
        "\(ports.count) ports and \(count) hosts do not match. Give one port or one for each host")
    }
    for address in addresses where !address.isEmpty && !SocketAddress.isNumeric(address) {
      throw .connectionString(
        "hostaddr \"\(address)\" is no numeric address. Write names into host")
    }
    var hosts: [Host] = []
    for index in 0..<count {
      let port = ports.isEmpty ? "" : ports.count == 1 ? ports[0] : ports[index]
      hosts.append(
        Host(
          name: index < names.count ? nonEmpty(names[index]) : nil,
          address: index < addresses.count ? nonEmpty(addresses[index]) : nil,
          port: try Self.port(port, of: ports.count > 1 ? " of host \(index + 1)" : "")))
    }
    return hosts
  }

  private static func list(_ text: String?) -> [String] {
    guard let text else { return [] }
    return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }

  private static func nonEmpty(_ text: String) -> String? { text.isEmpty ? nil : text }

  private static func port(_ text: String, of host: String) throws(PGError) -> UInt16 {
    let trimmed = trim(text)
    if trimmed.isEmpty { return defaultPort }
    guard let port = UInt16(trimmed), port > 0 else {
      guard ConnectionString.isShownPort(text) else {
        throw .connectionString(
          "the port\(host) is no number from 1 to 65535. "
            + "If it is a piece of a password, write its \"/\" as %2F")
      }
      throw .connectionString("port \"\(text)\"\(host) is no number from 1 to 65535")
    }
    return port
  }
}

extension ConnectionParameters.Host: CustomStringConvertible {
  /// Name or address and port.
  public var description: String {
    let host = name ?? address ?? ConnectionParameters.defaultSocketDirectory
    return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}

extension ConnectionParameters.Host {
  /// The directory of the Unix socket; nil when the connection goes by TCP.
  var socketDirectory: String? {
    if address != nil { return nil }
    guard let name else { return ConnectionParameters.defaultSocketDirectory }
    return name.hasPrefix("/") || name.hasPrefix("@") ? name : nil
  }

  /// The name that passfiles know this host by.
  var passfileName: String {
    let name = name ?? address ?? "localhost"
    return name == ConnectionParameters.defaultSocketDirectory ? "localhost" : name
  }
}
