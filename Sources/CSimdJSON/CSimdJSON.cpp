// The DOM parser and not the on-demand one: that one reads lazily and would pass documents that are
// broken behind the last member looked at.
#include <simdjson.h>

#include <memory>
#include <new>
#include <string_view>

#include "CSimdJSON.h"

namespace {

// PostgreSQL itself accepts json values some thousand levels deep; parsing does not recurse.
constexpr size_t maximum_depth = 16384;
// Memory for documents up to this many bytes stays; a larger one's is given back with the next.
constexpr size_t kept_capacity = size_t(1) << 20;

} // namespace

struct csimdjson_parser {
  std::unique_ptr<simdjson::dom::parser> dom;
  simdjson::error_code error = simdjson::SUCCESS;

  bool reset() {
    dom.reset(new (std::nothrow) simdjson::dom::parser());
    return dom && dom->allocate(kept_capacity, maximum_depth) == simdjson::SUCCESS;
  }
};

csimdjson_parser *csimdjson_new(void) {
  auto *parser = new (std::nothrow) csimdjson_parser;
  if (parser && parser->reset()) return parser;
  delete parser;
  return nullptr;
}

void csimdjson_free(csimdjson_parser *parser) { delete parser; }

const char *csimdjson_error(const csimdjson_parser *parser) {
  return simdjson::error_message(parser->error);
}

csimdjson_result csimdjson_parse_event(
    csimdjson_parser *parser, const char *bytes, size_t length, csimdjson_event *event) {
  *event = csimdjson_event{};
  const bool was_large = parser->dom && parser->dom->capacity() > kept_capacity;
  if (!parser->dom || (was_large && length <= kept_capacity)) {
    if (!parser->reset()) return CSIMDJSON_NO_MEMORY;
  }
  simdjson::dom::element root;
  // `true`: the parser copies the bytes into its own padded buffer, which it keeps.
  parser->error = parser->dom->parse(bytes ? bytes : "", length, true).get(root);
  if (parser->error == simdjson::MEMALLOC || parser->error == simdjson::CAPACITY) {
    parser->dom.reset();
    return CSIMDJSON_NO_MEMORY;
  }
  if (parser->error) return CSIMDJSON_NOT_JSON;
  simdjson::dom::object object;
  if (root.get(object)) return CSIMDJSON_NO_OBJECT;
  int missing = 4;
  for (const auto member : object) {
    csimdjson_text *text = nullptr;
    if (member.key == "Database") text = &event->database;
    else if (member.key == "Schema") text = &event->schema;
    else if (member.key == "Table") text = &event->table;
    else if (member.key == "Action") text = &event->action;
    if (!text || text->bytes) continue;
    std::string_view value;
    if (member.value.get(value)) return CSIMDJSON_NO_STRING;
    *text = {value.data(), value.size()};
    if (--missing == 0) break;
  }
  return CSIMDJSON_OK;
}
