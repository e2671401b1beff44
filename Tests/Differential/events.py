"""The events that docs/EVENTS.md promises for what pgoutput sent, as parsed JSON.

An object is `("{}", [(name, value), ...])`, a number `("#", its digits)`: order of members, repeated members and
the way a number is written count.
"""

import base64
import datetime
import hashlib
import json
import re
import struct

import pgoutput


def obj(*members):
    return ("{}", list(members))


def number(text):
    return ("#", str(text))


def _refuse(word):
    raise ValueError("%s is no JSON" % word)


def parse(text):
    """JSON with everything kept that a comparison can tell."""
    return json.loads(
        text, object_pairs_hook=lambda pairs: ("{}", pairs), parse_int=number, parse_float=number,
        parse_constant=_refuse)


def lsn_text(lsn):
    return "%X/%X" % (lsn >> 32, lsn & 0xFFFFFFFF)


def timestamp(microseconds):
    moment = datetime.datetime(2000, 1, 1) + datetime.timedelta(microseconds=microseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uuid(system, database, xid, time, lsn, ordinal):
    """Version 8 from cluster, database and transaction; the last four bytes are the ordinal."""
    name = database.encode()
    digest = hashlib.sha256(
        struct.pack("!BQI", 1, system, len(name)) + name + struct.pack("!IqQ", xid, time, lsn)).digest()
    data = bytearray(digest[:16])
    data[6] = data[6] & 0x0F | 0x80
    data[8] = data[8] & 0x3F | 0x80
    data[12:] = struct.pack("!I", ordinal)
    text = data.hex()
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


class Events:
    """Makes events of messages, in the order of a stream that is not streamed in chunks."""

    def __init__(self, catalog, values, host, database):
        self.catalog, self.values = catalog, values
        self.host, self.database = host, database
        self.relations = {}
        self.transaction, self.ordinal = None, 0
        self.events = []

    def take(self, lsn, message):
        if isinstance(message, pgoutput.Begin):
            self.transaction, self.ordinal = message, 0
        elif isinstance(message, pgoutput.Commit):
            self.transaction = None
        elif isinstance(message, pgoutput.Relation):
            self.relations[message.oid] = message
        elif isinstance(message, pgoutput.Row):
            self._row(lsn, message)
        elif isinstance(message, pgoutput.Truncate):
            for oid in message.oids:
                relation = self.relations[oid]
                self._emit(lsn, "truncate", relation.schema, relation.name, obj(), [("Key", None)])
        elif isinstance(message, pgoutput.Message):
            self._message(message)

    # Rows

    def _row(self, lsn, row):
        relation = self.relations[row.oid]
        key = self._key(relation)
        partial = relation.identity == "f" and self.catalog.has_partial_leaves(row.oid)
        if row.action == "update" and self._changes_key(row, key, partial):
            delete = pgoutput.Row("delete", row.oid, row.old_kind, row.old, None)
            self._change(lsn, relation, key, partial, delete)
            insert = pgoutput.Row("insert", row.oid, row.old_kind, row.old, row.new)
            self._change(lsn, relation, key, partial, insert)
        else:
            self._change(lsn, relation, key, partial, row)

    def _key(self, relation):
        """The places of the key's columns."""
        if relation.identity in "di":
            places = [place for place, column in enumerate(relation.columns) if column.key]
            return [] if self.catalog.leaves_out_key(relation) else places
        names = self.catalog.primary_key(relation.oid)
        places = [p for p, column in enumerate(relation.columns) if column.name in names]
        return places if len(places) == len(names) else []

    @staticmethod
    def _changes_key(row, key, partial):
        if row.old is None:
            return False
        for place in key:
            old, new = row.old[place], row.new[place]
            if new is pgoutput.UNCHANGED or old == new:
                continue
            # What the server did not send of an old row is null there.
            if old is None and (row.old_kind == "K" or partial):
                continue
            return True
        return False

    def _change(self, lsn, relation, key, partial, row):
        values = row.old if row.action == "delete" else row.new
        unsent_nulls = row.old_kind == "K" or (row.old_kind == "O" and partial)
        columns, unchanged = [], []
        for place, column in enumerate(relation.columns):
            value = values[place]
            if row.action == "delete":
                if (row.old_kind == "K" and not column.key) or (value is None and unsent_nulls):
                    continue
            elif value is pgoutput.UNCHANGED:
                if row.old_kind != "O" or row.old[place] is None:
                    unchanged.append(column.name)
                    continue
                value = row.old[place]
            columns.append((column.name, self._value(value, column)))
        more = [("Key", self._key_object(relation, key, row, values, unsent_nulls))]
        if row.old is not None and (row.action != "insert" or unchanged):
            more.append(("Old", self._old(relation, row, unsent_nulls)))
        if unchanged:
            more.append(("Unchanged", unchanged))
        self._emit(lsn, row.action, relation.schema, relation.name, obj(*columns), more)

    def _key_object(self, relation, key, row, values, unsent_nulls):
        members = []
        for place in key:
            value = values[place]
            if value is pgoutput.UNCHANGED:
                value = row.old[place] if row.old else None
                if value is None:
                    return None
            if value is None and row.action == "delete" and unsent_nulls:
                return None
            members.append((relation.columns[place].name, self._value(value, relation.columns[place])))
        return obj(*members) if members else None

    def _old(self, relation, row, unsent_nulls):
        members = []
        for place, column in enumerate(relation.columns):
            value = row.old[place]
            if (row.old_kind == "K" and not column.key) or (value is None and unsent_nulls):
                continue
            members.append((column.name, self._value(value, column)))
        return obj(*members)

    def _value(self, value, column):
        return None if value is None else self.values.json(value, column.type)

    # Messages

    def _message(self, message):
        alone = not message.transactional
        if alone:
            # A message's position is the end of its record; its last byte stands for it.
            self.transaction, self.ordinal = pgoutput.Begin(message.lsn - 1, None, None), 0
        content = obj(
            ("Prefix", self.values.mended(message.prefix.encode("utf-8", "surrogateescape"))), ("Content", base64.b64encode(message.content).decode()),
            ("Transactional", message.transactional))
        self._emit(message.lsn, "message", "", "", obj(), [("Key", None), ("Message", content)])
        if alone:
            self.transaction = None

    def _emit(self, lsn, action, schema, table, columns, more):
        commit, time, xid = self.transaction
        self.events.append(obj(
            ("Host", self.host), ("Database", self.database), ("Table", table), ("Action", action),
            ("WALPosition", number(commit)),
            ("Timestamp", None if time is None else timestamp(time)),
            ("UUID", uuid(self.catalog.system, self.database, xid or 0, time or 0, commit, self.ordinal)),
            ("Columns", columns), ("Schema", schema), ("LSN", lsn_text(lsn)),
            ("CommitLSN", lsn_text(commit)), ("XID", None if xid is None else number(xid)),
            ("Ordinal", number(self.ordinal)), *more))
        self.ordinal += 1


class Values:
    """Values as docs/EVENTS.md has them, from their texts."""

    def __init__(self, catalog, invalid=None):
        self.catalog, self.invalid = catalog, invalid

    def mended(self, data):
        """What `invalidUTF8` makes of bytes that are no text."""
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            if self.invalid == "replace":
                return data.decode("utf-8", "replace")
            if self.invalid == "base64":
                return base64.b64encode(data).decode()
            raise

    def json(self, data, oid):
        text = self.mended(data)
        if self.invalid == "base64" and text.encode() != data:
            return text
        try:
            return self._json(text, oid)
        except (ValueError, IndexError, KeyError):
            # "A value whose text is not what its type promises arrives as that text."
            return text

    def _json(self, text, oid):
        if text is None:
            return None
        kind, detail = self.catalog.type(oid)
        if kind == "d":
            return self._json(text, detail)
        if kind == "a":
            return self._array(text, *detail)
        if kind == "c":
            return self._composite(text, detail)
        if kind == "r":
            return self._range(text, detail)
        if kind == "m":
            return [self._range(part, detail) for part in _multirange_parts(text)]
        if kind == "hstore":
            return _hstore(text)
        return self._base(text, oid)

    @staticmethod
    def _base(text, oid):
        if oid == 16:
            return {"t": True, "f": False}[text]
        if oid in (20, 21, 23, 26):
            return number(text)
        if oid in (700, 701):
            return text if text in ("NaN", "Infinity", "-Infinity") else number(text)
        if oid == 17:
            return base64.b64encode(bytes.fromhex(text[2:])).decode()
        if oid == 1114:
            return text.replace(" ", "T") if _COMMON.fullmatch(text) else text
        if oid == 1184:
            common = text.endswith("+00") and _COMMON.fullmatch(text[:-3])
            return text[:-3].replace(" ", "T") + "Z" if common else text
        if oid in (114, 3802):
            return parse(text) if _fits_every_reader(text) else text
        if oid in (22, 30):
            return [number(word) for word in text.split()]
        return text

    def _array(self, text, element, delimiter):
        # Bounds that are not 1 stand before: "[2:3]={1,2}".
        if text.startswith("["):
            text = text[text.index("=") + 1:]
        value, end = self._array_at(text, 0, element, delimiter)
        if end != len(text):
            raise ValueError("an array goes on behind its end")
        return value

    def _array_at(self, text, at, element, delimiter):
        if text[at] != "{":
            raise ValueError("an array begins otherwise")
        at += 1
        values = []
        if text[at] == "}":
            return values, at + 1
        while True:
            if text[at] == "{":
                value, at = self._array_at(text, at, element, delimiter)
            elif text[at] == '"':
                piece, at = _quoted(text, at)
                value = self._json(piece, element)
            else:
                start = at
                while text[at] not in (delimiter, "}"):
                    at += 1
                piece = text[start:at]
                value = None if piece == "NULL" else self._json(piece, element)
            values.append(value)
            if text[at] == "}":
                return values, at + 1
            at += 1

    def _composite(self, text, attributes):
        if not attributes:
            return obj()
        pieces, at = [], 1
        while True:
            piece, at = _bound(text, at, ",)")
            pieces.append(piece)
            if text[at] == ")":
                break
            at += 1
        # A row older than an attribute that was added lacks it.
        if len(pieces) > len(attributes):
            raise ValueError("more values than attributes")
        return obj(*[
            (name, self._json(piece, oid)) for piece, (name, oid) in zip(pieces, attributes)])

    def _range(self, text, subtype):
        if text == "empty":
            return obj(("empty", True))
        lower, at = _bound(text, 1, ",")
        upper, at = _bound(text, at + 1, ")]")
        return obj(
            ("lower", self._json(lower, subtype)), ("upper", self._json(upper, subtype)),
            ("lowerInclusive", text[0] == "["), ("upperInclusive", text[at] == "]"))


_COMMON = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?")


def _quoted(text, at):
    """The text between the quote at `at` and its end, and where that is."""
    out = []
    at += 1
    while text[at] != '"':
        if text[at] == "\\":
            at += 1
        out.append(text[at])
        at += 1
    return "".join(out), at + 1


def _bound(text, at, ends):
    """A field of a row or bound of a range: None when nothing stands there."""
    out, found = [], False
    while text[at] not in ends:
        found = True
        if text[at] == '"':
            at += 1
            while True:
                if text[at] == "\\":
                    at += 1
                elif text[at] == '"':
                    # A doubled quote is one; another ends it.
                    if text[at + 1] != '"':
                        break
                    at += 1
                out.append(text[at])
                at += 1
        elif text[at] == "\\":
            at += 1
            out.append(text[at])
        else:
            out.append(text[at])
        at += 1
    return ("".join(out) if found else None), at


def _multirange_parts(text):
    parts, at = [], 1
    while text[at] != "}":
        start = at
        if text.startswith("empty", at):
            at += 5
        else:
            _, at = _bound(text, at + 1, ",")
            _, at = _bound(text, at + 1, ")]")
            at += 1
        parts.append(text[start:at])
        if text[at] == ",":
            at += 1
    return parts


def _hstore(text):
    members, at = [], 0
    while at < len(text):
        key, at = _quoted(text, at)
        if text.startswith("=>NULL", at):
            value, at = None, at + 6
        else:
            value, at = _quoted(text, at + 2)
        members.append((key, value))
        if text.startswith(", ", at):
            at += 2
    return obj(*members)


_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([0-9]+)|([\[{])|([\]}])', re.S)


def _fits_every_reader(text):
    """Whether a document has no half surrogate pairs, at most 240 levels, at most 4300 digits in a row."""
    depth = 0
    for inside, digits, opening, closing in _TOKEN.findall(text):
        if len(digits) > 4300:
            return False
        if opening:
            depth += 1
            if depth > 240:
                return False
        elif closing:
            depth -= 1
        elif inside and "\\u" in inside:
            try:
                json.loads('"%s"' % inside.replace("\n", "")).encode("utf-8")
            except UnicodeEncodeError:
                return False
    return True
