/// What `/snapshot` answers.
enum CopiesDocument {
  /// `{"copies":[{"source","id","state","tables","where","gone","tablesTotal","tablesDone","rows",
  /// "error"}]}`.
  static func json(_ sources: [SourceStatus]) -> [UInt8] {
    var json = JSONText()
    json.object { json in
      json.key("copies")
      json.array { json in
        for source in sources {
          for copy in source.copies { copy.write(to: &json, source: source.name) }
        }
      }
    }
    return json.bytes
  }

  /// `{"source","id","ids","tables"}`: the copies that a request has made or changed, and the tables of
  /// the new one.
  static func json(_ source: String, _ changed: CopyBook) -> [UInt8] {
    var json = JSONText()
    json.object { json in
      json.key("source")
      json.value(source)
      json.key("id")
      if let first = changed.requests.first { json.value(first.number) } else { json.plain("null") }
      json.key("ids")
      json.array { json in for request in changed.requests { json.value(request.number) } }
      json.key("tables")
      json.array { json in for table in changed.tables { json.value(table.name) } }
    }
    return json.bytes
  }
}
