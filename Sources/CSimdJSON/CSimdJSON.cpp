// The DOM parser and not the on-demand one: that one reads lazily and would pass documents that are
// broken in a member that it skips or behind the last one looked at (so in simdjson 3.0, and by
// design later). The price: the DOM refuses numbers that fit no 64-bit integer and no double, which
// a numeric column may hold. A refused document is therefore read once more with a 0 in the place
// of each of its numbers, none of which says where an event belongs.
#include <simdjson.h>

#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include "CSimdJSON.h"

namespace {

// PostgreSQL itself accepts json values some thousand levels deep; parsing does not recurse.
constexpr size_t maximum_depth = 16384;
// Memory for documents up to this many bytes stays; a larger one's is given back with the next.
constexpr size_t kept_capacity = size_t(1) << 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool may_be_in_number(char c) {
  return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

const char *skip_digits(const char *at, const char *end) {
  while (at != end && is_digit(*at)) ++at;
  return at;
}

// Whether all of the text is one number of RFC 8259.
bool is_number(const char *at, const char *end) {
  if (at != end && *at == '-') ++at;
  const char *digits = at;
  at = skip_digits(at, end);
  if (at == digits || (*digits == '0' && at - digits > 1)) return false;
  if (at != end && *at == '.') {
    digits = ++at;
    at = skip_digits(at, end);
    if (at == digits) return false;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '-' || *at == '+')) ++at;
    digits = at;
    at = skip_digits(at, end);
    if (at == digits) return false;
  }
  return at == end;
}

// Makes each number outside of strings a 0 and blanks. Only a whole run of a number's characters
// is replaced, and only by as many: what was no JSON before is none afterwards.
void blank_numbers(char *at, const char *end) {
  bool in_string = false;
  while (at != end) {
    if (in_string && *at == '\\' && end - at > 1) {
      at += 2;
      continue;
    }
    if (*at == '"') in_string = !in_string;
    if (in_string || !may_be_in_number(*at)) {
      ++at;
      continue;
    }
    char *start = at;
    while (at != end && may_be_in_number(*at)) ++at;
    if (!is_number(start, at)) continue;
    std::memset(start, ' ', size_t(at - start));
    *start = '0';
  }
}

} // namespace

struct csimdjson_parser {
  std::unique_ptr<simdjson::dom::parser> dom;
  simdjson::error_code error = simdjson::SUCCESS;

  bool reset() {
    dom.reset(new (std::nothrow) simdjson::dom::parser());
    return dom && dom->allocate(kept_capacity, maximum_depth) == simdjson::SUCCESS;
  }

  simdjson::dom::element parse(const char *bytes, size_t length) {
    simdjson::dom::element root;
    // `true`: the parser copies the bytes into its own padded buffer, which it keeps.
    error = dom->parse(bytes, length, true).get(root);
    if (!error || is_no_memory()) return root;
    // Whatever the reason was: it may be another one in later versions, and stand behind a number.
    std::unique_ptr<char[]> copy(new (std::nothrow) char[length + simdjson::SIMDJSON_PADDING]);
    if (!copy) {
      error = simdjson::MEMALLOC;
      return root;
    }
    std::memcpy(copy.get(), bytes, length);
    blank_numbers(copy.get(), copy.get() + length);
    // What the parser gives lies in its own memory, so the copy may go.
    error = dom->parse(copy.get(), length, false).get(root);
    return root;
  }

  bool is_no_memory() const {
    return error == simdjson::MEMALLOC || error == simdjson::CAPACITY;
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
  const simdjson::dom::element root = parser->parse(bytes ? bytes : "", length);
  if (parser->is_no_memory()) {
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
