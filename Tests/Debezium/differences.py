"""Compares records, and knows what may differ.

The list stands in docs/DEBEZIUM.md, a table whose first column is the name used here: each row is
written down there with its reason, and each must occur.
"""

import json
import math
import pathlib
import re

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/DEBEZIUM.md"


def listed():
    """The names of the differences that the documentation lists."""
    text = DOCS.read_text() if DOCS.exists() else ""
    part = text.split("## Differences", 1)[-1] if "## Differences" in text else ""
    return re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", part)


def same(theirs, ours):
    if isinstance(theirs, float) and isinstance(ours, float):
        return theirs == ours or (math.isnan(theirs) and math.isnan(ours))
    return type(theirs) is type(ours) and theirs == ours


class Rules:
    """Says by which listed difference a pair of values may differ; None for none."""

    def __init__(self, mode):
        self.mode = mode

    def column(self, table, name, part, theirs, ours, event):
        kind = table.split(".")[-1]
        kind = kind.split("_", 1)[1] if kind[:1] == "t" and "_" in kind and kind[1:4].isdigit() else kind
        is_array = name == "a" and ".types." in table
        if name in ("c",) and kind == "defaults" or name in ("a", "b") and kind == "defaults":
            if ours is None:
                return "null-default"
        if part == "before" and ours is None and event["op"] == "d" and theirs in (0, "0", "", "1970-01-01T00:00:00Z", False, []) \
                or (part == "before" and ours is None and isinstance(theirs, dict)):
            return "unsent-null"
        if kind in ("numeric", "numeric_10_2") and theirs is None:
            return "numeric-special"
        if kind == "numeric_3_2":
            return "negative-scale"
        if kind in ("bit_1", "bit_8", "bit_11", "bit_33", "tsvector", "t_mood", "public_ltree") and is_array and theirs is None:
            return "array-null"
        if kind == "name" and theirs is None:
            return "name-null"
        if kind in ("int2vector", "oidvector"):
            return "vectors"
        if is_array and re.match(r"time(tz)?(_|$)", kind):
            return "array-time"
        if is_array and re.match(r"(date|timestamp|timestamptz)(_|$)", kind):
            return "array-julian"
        if kind == "timestamp" and theirs == -9223372036853775810:
            return "timestamp-range"
        if kind == "interval" and not is_array:
            return "interval-range"
        if kind == "public_hstore" and isinstance(theirs, str) and json.loads(theirs) == json.loads(ours):
            return "hstore-order"
        if kind == "public_hstore" and isinstance(theirs, list):
            return "hstore-order"
        if kind in ("toast", "toast_f") and theirs is None and ours is MISSING:
            return "unsent-omitted"
        if kind == "toast" and theirs == ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]:
            return "unsent-uuid"
        if kind in ("toast", "id_d") and theirs is None:
            return "unsent-stand-in"
        if kind == "toast" and name == "c17":
            return "unsent-uuid"
        if kind in ("path", "box", "polygon", "line", "circle") and self.mode == "strings":
            return "unknown-geometry"
        if re.match("date|timestamp", kind) and isinstance(theirs, str) and ours in ("infinity", "-infinity"):
            return "iso-infinity"
        if "timestamp" in kind and theirs is None and abs(ours) > 1 << 62:
            return "timestamp-range"
        if self.mode == "strings" and is_array:
            return "unknown-array"
        if kind in ("float4", "float8"):
            return "float-digits"
        if kind == "odd" and name == "d":
            return "array-dimensions"
        if kind == "odd" and name in ("p", "m"):
            return "domain-modifier"
        return None


MISSING = object()


class Comparison:
    def __init__(self, mode, seen):
        self.rules = Rules(mode)
        self.seen = seen
        self.allowed = set(listed())
        self.failures = 0

    def differ(self, where, name, theirs, ours):
        """Notes a difference; one that is not listed is printed and counts."""
        if name is not None:
            self.seen.add(name)
            if name in self.allowed:
                return
        self.failures += 1
        if self.failures <= 60:
            print("%s%s: theirs %s, ours %s" % (
                where, " (%s is not listed)" % name if name else "", *(_cut(x) for x in (theirs, ours))))

    def record(self, topic, theirs, ours):
        (key, value, headers), (our_key, our_value, our_headers) = theirs, ours
        where = "%s %s" % (topic, (key or b"null").decode()[:80])
        if key != our_key and b'"schema"' in (key or b"") and json.loads(key)["payload"] == json.loads(our_key)["payload"]:
            self.schema(where + " key", json.loads(key)["schema"], json.loads(our_key)["schema"])
        elif key != our_key:
            kind = topic.split(".")[-1]
            self.differ(where + " key", "key-index" if kind == "pk_and_index" else None, key, our_key)
        wanted = ",".join(h for h in headers.split(",__debezium.context")[0].split(",") if h and "__debezium.context" not in h)
        if headers != our_headers:
            if wanted == our_headers:
                self.differ(where + " headers", "context-headers", headers, our_headers)
            else:
                kind = topic.split(".")[-1]
                self.differ(where + " headers", None, wanted, our_headers)
        if value is None or our_value is None:
            if value is not our_value:
                self.differ(where + " value", None, value, our_value)
            return
        mine, yours = json.loads(our_value), json.loads(value)
        if "payload" in yours and "schema" in yours:
            self.schema(where, yours["schema"], mine.get("schema"))
            yours, mine = yours["payload"], mine.get("payload")
        if list(yours) != list(mine):
            self.differ(where + " members", None, list(yours), list(mine))
        for part in yours:
            if part in ("before", "after") and isinstance(yours[part], dict) and isinstance(mine.get(part), dict):
                self.row(topic, where, part, yours[part], mine[part], yours)
            elif part == "source":
                for field in list(yours[part]) + [f for f in mine[part] if f not in yours[part]]:
                    a, b = yours[part].get(field, MISSING), mine[part].get(field, MISSING)
                    if not same(a, b):
                        self.differ(where + " source." + field, "sequence-start" if field == "sequence" and topic.endswith("t000_bool") else None, a, b)
            elif part in ("ts_ms", "ts_us", "ts_ns"):
                if not same(yours[part], mine.get(part)):
                    self.differ(where + " " + part, "event-time", yours[part], mine.get(part))
            elif part == "data_collections" and yours[part] and in_names(yours[part]) == in_names(mine.get(part) or []):
                if "LogicalDecodingMessageId" in repr(yours[part]):
                    self.differ(where + " " + part, "message-collection", yours[part], mine[part])
                elif yours[part] != mine[part]:
                    self.differ(where + " " + part, "collection-order", yours[part], mine[part])
            elif not same(yours[part], mine.get(part, MISSING)):
                self.differ(where + " " + part, None, yours[part], mine.get(part))

    def row(self, topic, where, part, theirs, ours, event):
        for name in list(theirs) + [n for n in ours if n not in theirs]:
            a, b = theirs.get(name, MISSING), ours.get(name, MISSING)
            if not same(a, b):
                rule = self.rules.column(topic, name, part, a, b, event)
                self.differ("%s %s.%s" % (where, part, name), rule, a, b)
        common = [n for n in theirs if n in ours]
        if common != [n for n in ours if n in theirs]:
            self.differ(where + " order", None, list(theirs), list(ours))

    def schema(self, where, theirs, ours):
        """Compares two schemas member by member."""
        if theirs == ours:
            return
        if not isinstance(theirs, dict) or not isinstance(ours, dict):
            # Arrays that Debezium's schemas do not show as such.
            known = where.endswith("[]") and re.search("_bit_|_mood|tsvector|ltree", where)
            return self.differ(where + " schema", "schema" if known else None, theirs, ours)
        for name in set(theirs) | set(ours):
            a, b = theirs.get(name), ours.get(name)
            if a == b:
                continue
            if name == "fields":
                mine = {f["field"]: f for f in b or []}
                yours = {f["field"]: f for f in a or []}
                if [n for n in yours if n in mine] != list(mine) or len(mine) < len(yours):
                    self.differ(where + " schema", "schema" if "rows.odd" in where else None, list(yours), list(mine))
                for field in yours:
                    self.schema("%s.%s" % (where, field), yours[field], mine.get(field))
            elif name == "items":
                self.schema(where + "[]", a, b)
            else:
                self.differ("%s schema %s" % (where, name), self.schema_rule(where, name, a, b, theirs, ours), a, b)

    def schema_rule(self, where, name, theirs, ours, whole, mine):
        if name in ("default",) and ours is None:
            return "schema"
        if name == "optional" and theirs is False and ours is True:
            return "schema"
        if name in ("name", "version", "parameters") and whole.get("name") == "io.debezium.data.Enum":
            return "schema"
        if mine.get("type") == "array" or re.search(r"numeric_3_2|rows.odd|t_mood", where):
            return "schema"
        return None


def in_names(collections):
    """What is counted of a transaction by table, in the order of the tables' names; its messages as of one."""
    counts = {}
    for collection in collections:
        name = collection["data_collection"]
        name = "message" if "LogicalDecodingMessageId" in name else name
        counts[name] = counts.get(name, 0) + collection["event_count"]
    return sorted(counts.items())


def _cut(value):
    text = "nothing" if value is MISSING else repr(value)
    return text if len(text) < 240 else text[:120] + "…" + text[-100:]


def in_order(partitions):
    """The records of partitions by their LSN; one without a value belongs to the one before it."""
    found = []
    for records in partitions:
        lsn = 0
        for record in records:
            if record[1]:
                value = json.loads(record[1])
                lsn = (value.get("payload") or value)["source"]["lsn"]
            found.append((lsn, record))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]


def compare(mode, theirs, ours, seen):
    """Compares all records of one mode and gives the number of unlisted differences."""
    comparison = Comparison(mode, seen)
    keyless = {t for (t, p), records in list(theirs.items()) + list(ours.items()) for r in records if r[0] is None}
    moved = {t for t in {t for t, _ in list(theirs) + list(ours)} if t.endswith("pk_and_index")}
    enums = {t for t in {t for t, _ in list(theirs)} if mode == "schemas" and t.endswith("keys.k15")}
    topics = sorted({t for t, _ in list(theirs) + list(ours)})
    records = 0
    for topic in topics:
        parts = [(a, b) for a, b in ((
            theirs.get((topic, p), []), ours.get((topic, p), [])) for p in range(8))]
        if topic in enums:
            comparison.differ(topic, "key-enum", *[[len(side) for side in sides] for sides in zip(*parts)])
        if topic in keyless or topic in moved or topic in enums:
            # Java's partitioner spreads records without a key, those of a truncate too: all of the topic are compared
            # in the order of their changes.
            if topic in keyless and [len(a) for a, _ in parts] != [len(b) for _, b in parts]:
                comparison.differ(topic, "keyless-partition", [len(a) for a, _ in parts], [len(b) for _, b in parts])
            flat = [in_order(side) for side in ([a for a, _ in parts], [b for _, b in parts])]
            if topic in moved:
                flat = [[r for r in side if r[1]] for side in flat]
            parts = [tuple(flat)]
        for number, (a, b) in enumerate(parts):
            if len(a) != len(b):
                comparison.differ("%s partition %d" % (topic, number), None, "%d records" % len(a), "%d records %s" % (
                    len(b), [r[0] for r in (a if len(a) > len(b) else b)][:4]))
            for pair in zip(a, b):
                records += 1
                comparison.record(topic, *pair)
    print("%s: %d records of %d topics, %d unlisted differences, %d kinds of listed ones" % (
        mode, records, len(topics), comparison.failures, len(seen & comparison.allowed)))
    return comparison.failures


def stale(seen):
    """How many listed differences did not occur."""
    gone = [name for name in listed() if name not in seen]
    for name in gone:
        print("docs/DEBEZIUM.md lists `%s`, which no longer occurs" % name)
    return len(gone)
