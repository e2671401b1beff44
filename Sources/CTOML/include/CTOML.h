// toml++ behind a C interface: a parsed document as a tree of nodes, each with its place in the file.
//
// Nothing here throws. A document owns all its nodes and texts, which live until ctoml_free.
// Lines and columns count from 1; 0 means unknown.
#ifndef CTOML_H
#define CTOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ctoml_document ctoml_document;
typedef struct ctoml_node ctoml_node;

typedef enum ctoml_kind {
  CTOML_TABLE,
  CTOML_ARRAY,
  CTOML_STRING,
  CTOML_INTEGER,
  CTOML_FLOAT,
  CTOML_BOOLEAN,
  CTOML_TIME // a date, a time or both
} ctoml_kind;

/// UTF-8 with its length: a TOML string may hold zero bytes.
typedef struct ctoml_text {
  const char *bytes;
  size_t length;
} ctoml_text;

typedef struct ctoml_position {
  uint32_t line;
  uint32_t column;
} ctoml_position;

/// Parses a document; NULL only when memory is short. Free it with ctoml_free, failed or not.
ctoml_document *ctoml_parse(const char *bytes, size_t length);
void ctoml_free(ctoml_document *document);

/// Whether the text was no TOML: then there is an error and no root.
bool ctoml_failed(const ctoml_document *document);
ctoml_text ctoml_error_text(const ctoml_document *document);
ctoml_position ctoml_error_position(const ctoml_document *document);

/// The table that holds everything; NULL when parsing failed.
const ctoml_node *ctoml_root(const ctoml_document *document);

ctoml_kind ctoml_node_kind(const ctoml_node *node);
ctoml_position ctoml_node_position(const ctoml_node *node);

/// How many members a table or an array has, in the order of the file; 0 for other kinds.
size_t ctoml_count(const ctoml_node *node);
const ctoml_node *ctoml_member(const ctoml_node *node, size_t index);
/// The key of a table's member; empty for an array's.
ctoml_text ctoml_member_key(const ctoml_node *node, size_t index);
ctoml_position ctoml_member_key_position(const ctoml_node *node, size_t index);

/// The value of a node of that kind; zero or empty for other kinds.
ctoml_text ctoml_string(const ctoml_node *node);
int64_t ctoml_integer(const ctoml_node *node);
double ctoml_float(const ctoml_node *node);
bool ctoml_boolean(const ctoml_node *node);

#ifdef __cplusplus
}
#endif
#endif
