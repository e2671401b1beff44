// simdjson behind a C interface: the top-level texts that say where an event belongs.
//
// Nothing here throws. A parser is reused from document to document and belongs to one thread; the
// texts that it gives live until its next document or its end.
#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct csimdjson_parser csimdjson_parser;

/// UTF-8 with its length; the bytes are NULL when the document has no such member.
typedef struct csimdjson_text {
  const char *bytes;
  size_t length;
} csimdjson_text;

/// What of an event decides where it goes.
typedef struct csimdjson_event {
  csimdjson_text database;
  csimdjson_text schema;
  csimdjson_text table;
  csimdjson_text action;
} csimdjson_event;

typedef enum csimdjson_result {
  CSIMDJSON_OK,
  /// The bytes are no JSON document, or no UTF-8; csimdjson_error says why.
  CSIMDJSON_NOT_JSON,
  /// The document is no object.
  CSIMDJSON_NO_OBJECT,
  /// One of the members is there and is no string.
  CSIMDJSON_NO_STRING,
  /// Memory is short, or the document is larger than 4 GiB.
  CSIMDJSON_NO_MEMORY
} csimdjson_result;

/// Makes a parser; NULL only when memory is short. Free it with csimdjson_free.
csimdjson_parser *csimdjson_new(void);
void csimdjson_free(csimdjson_parser *parser);

/// Parses a whole document strictly (RFC 8259, UTF-8) and gives the event's members, the first of
/// those that have the same name. Numbers may be of any size.
///
/// The bytes need no padding behind them: they are copied once into memory of the parser that has.
csimdjson_result csimdjson_parse_event(
    csimdjson_parser *parser, const char *bytes, size_t length, csimdjson_event *event);

/// Why the last document was no JSON: a constant text that quotes nothing of it.
const char *csimdjson_error(const csimdjson_parser *parser);

#ifdef __cplusplus
}
#endif
#endif
