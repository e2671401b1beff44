// The tree is copied out of toml++ once: its tables are sorted by name, a reader of errors wants the
// order of the file.
#define TOML_ENABLE_FORMATTERS 0

// toml++ 3.3 asserts that a table's header begins with a key instead of checking it: "[=]" would end
// the process, and without assertions it would be undefined behaviour. Here it throws.
#undef NDEBUG
namespace ctoml {
struct broken_assertion {};
} // namespace ctoml
#define TOML_ASSERT(expression) \
  (static_cast<bool>(expression) ? static_cast<void>(0) : throw ctoml::broken_assertion())
#include <toml++/toml.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "CTOML.h"

struct ctoml_node {
  struct member;

  ctoml_kind kind = CTOML_TABLE;
  ctoml_position position{0, 0};
  std::vector<member> members;
  std::string text;
  int64_t integer = 0;
  double real = 0;
  bool boolean = false;
};

struct ctoml_node::member {
  std::string key;
  ctoml_position key_position{0, 0};
  ctoml_node node;
};

struct ctoml_document {
  bool failed = false;
  std::string error;
  ctoml_position error_position{0, 0};
  ctoml_node root;
};

namespace {

ctoml_position position(const toml::source_region &region) {
  return {region.begin.line, region.begin.column};
}

ctoml_text view(const std::string &text) { return {text.data(), text.size()}; }

void copy(const toml::node &from, ctoml_node &to);

void copy_table(const toml::table &from, ctoml_node &to) {
  to.kind = CTOML_TABLE;
  for (auto &&[key, value] : from) {
    to.members.emplace_back();
    auto &member = to.members.back();
    member.key = std::string(key.str());
    member.key_position = position(key.source());
    copy(value, member.node);
  }
  std::stable_sort(to.members.begin(), to.members.end(), [](const auto &a, const auto &b) {
    return std::tie(a.key_position.line, a.key_position.column) <
           std::tie(b.key_position.line, b.key_position.column);
  });
}

void copy(const toml::node &from, ctoml_node &to) {
  to.position = position(from.source());
  switch (from.type()) {
  case toml::node_type::table: copy_table(*from.as_table(), to); break;
  case toml::node_type::array:
    to.kind = CTOML_ARRAY;
    for (auto &&element : *from.as_array()) {
      to.members.emplace_back();
      copy(element, to.members.back().node);
    }
    break;
  case toml::node_type::string:
    to.kind = CTOML_STRING;
    to.text = from.as_string()->get();
    break;
  case toml::node_type::integer:
    to.kind = CTOML_INTEGER;
    to.integer = from.as_integer()->get();
    break;
  case toml::node_type::floating_point:
    to.kind = CTOML_FLOAT;
    to.real = from.as_floating_point()->get();
    break;
  case toml::node_type::boolean:
    to.kind = CTOML_BOOLEAN;
    to.boolean = from.as_boolean()->get();
    break;
  default: to.kind = CTOML_TIME; break;
  }
}

// toml++ limits the depth of values and not that of dotted keys, whose tables it builds and frees
// recursively. Returns the line that has too many points, or 0.
uint32_t line_of_too_many_points(std::string_view text) {
  constexpr int limit = 1000;
  uint32_t line = 1;
  int points = 0;
  for (const char character : text) {
    if (character == '\n') {
      ++line;
      points = 0;
    } else if (character == '.' && ++points > limit) {
      return line;
    }
  }
  return 0;
}

/// Whether the text makes toml++ break an assertion of its own.
bool breaks_assertion(std::string_view text) {
  try {
    (void)toml::parse(text);
  } catch (const ctoml::broken_assertion &) {
    return true;
  } catch (const toml::parse_error &) {
  }
  return false;
}

/// The line at which an assertion breaks, found by parsing shorter and shorter texts: the parser
/// itself does not tell.
uint32_t line_of_broken_assertion(std::string_view text) {
  std::vector<size_t> ends;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\n') ends.push_back(at + 1);
  }
  ends.push_back(text.size());
  const auto first = std::partition_point(ends.begin(), ends.end(), [&](size_t end) {
    return !breaks_assertion(text.substr(0, end));
  });
  return static_cast<uint32_t>(std::min<ptrdiff_t>(first - ends.begin(), ends.size() - 1)) + 1;
}

} // namespace

// No exception may cross into C: each one ends here.
ctoml_document *ctoml_parse(const char *bytes, size_t length) {
  ctoml_document *document = nullptr;
  const std::string_view text(bytes, length);
  try {
    document = new ctoml_document;
    if (const auto line = line_of_too_many_points(text); line > 0) {
      document->failed = true;
      document->error = "a line has more than 1000 points";
      document->error_position = {line, 1};
      return document;
    }
    const auto table = toml::parse(text);
    copy(table, document->root);
    return document;
  } catch (const toml::parse_error &error) {
    try {
      document->failed = true;
      document->error = std::string(error.description());
      document->error_position = position(error.source());
      return document;
    } catch (...) {
    }
  } catch (const ctoml::broken_assertion &) {
    try {
      document->failed = true;
      document->error = "a key is missing or begins with what no key begins with";
      document->error_position = {line_of_broken_assertion(text), 1};
      return document;
    } catch (...) {
    }
  } catch (...) {
  }
  delete document;
  return nullptr;
}

void ctoml_free(ctoml_document *document) { delete document; }

bool ctoml_failed(const ctoml_document *document) { return document->failed; }

ctoml_text ctoml_error_text(const ctoml_document *document) { return view(document->error); }

ctoml_position ctoml_error_position(const ctoml_document *document) {
  return document->error_position;
}

const ctoml_node *ctoml_root(const ctoml_document *document) {
  return document->failed ? nullptr : &document->root;
}

ctoml_kind ctoml_node_kind(const ctoml_node *node) { return node->kind; }

ctoml_position ctoml_node_position(const ctoml_node *node) { return node->position; }

size_t ctoml_count(const ctoml_node *node) { return node->members.size(); }

const ctoml_node *ctoml_member(const ctoml_node *node, size_t index) {
  return index < node->members.size() ? &node->members[index].node : nullptr;
}

ctoml_text ctoml_member_key(const ctoml_node *node, size_t index) {
  if (index >= node->members.size()) return {nullptr, 0};
  return view(node->members[index].key);
}

ctoml_position ctoml_member_key_position(const ctoml_node *node, size_t index) {
  if (index >= node->members.size()) return {0, 0};
  return node->members[index].key_position;
}

ctoml_text ctoml_string(const ctoml_node *node) { return view(node->text); }

int64_t ctoml_integer(const ctoml_node *node) { return node->integer; }

double ctoml_float(const ctoml_node *node) { return node->real; }

bool ctoml_boolean(const ctoml_node *node) { return node->boolean; }
