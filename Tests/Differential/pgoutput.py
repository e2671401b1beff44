"""A decoder of pgoutput, protocol 1, text values, written from PostgreSQL's manual alone.

"Logical Replication Message Formats". Nothing of it is taken from the program that it judges. It is slow,
plain, and refuses what the manual does not say.
"""

import struct
from collections import namedtuple

Column = namedtuple("Column", "key name type")
Relation = namedtuple("Relation", "oid schema name identity columns")
Begin = namedtuple("Begin", "lsn time xid")
Commit = namedtuple("Commit", "lsn end time")
Row = namedtuple("Row", "action oid old_kind old new")
Truncate = namedtuple("Truncate", "oids")
Message = namedtuple("Message", "transactional lsn prefix content")

# What stands for a TOASTed value that was not sent; a null is None.
UNCHANGED = object()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("!" + form, self.data, self.at)
        self.at += struct.calcsize("!" + form)
        return values[0] if len(values) == 1 else values

    def bytes(self, count):
        if self.at + count > len(self.data):
            raise ValueError("a message is cut off")
        self.at += count
        return self.data[self.at - count:self.at]

    def string(self):
        end = self.data.index(b"\0", self.at)
        text = self.data[self.at:end]
        self.at = end + 1
        # A SQL_ASCII database has any bytes.
        return text.decode("utf-8", "surrogateescape")

    def tuple(self):
        values = []
        for _ in range(self.take("H")):
            kind = self.bytes(1)
            if kind == b"n":
                values.append(None)
            elif kind == b"u":
                values.append(UNCHANGED)
            elif kind == b"t":
                values.append(self.bytes(self.take("i")))
            else:
                raise ValueError("an unexpected kind of value %r" % kind)
        return values


def decode(data):
    """The message as one of the tuples above; None for what makes no event."""
    reader = Reader(data)
    kind = reader.bytes(1)
    message = _BODIES[kind](reader)
    if reader.at != len(data):
        raise ValueError("%r has %d bytes too many" % (kind, len(data) - reader.at))
    return message


def _begin(reader):
    return Begin(*reader.take("QqI"))


def _commit(reader):
    reader.take("B")
    return Commit(*reader.take("QQq"))


def _origin(reader):
    reader.take("Q")
    reader.string()


def _relation(reader):
    oid = reader.take("I")
    schema, name = reader.string() or "pg_catalog", reader.string()
    identity = reader.bytes(1).decode()
    columns = []
    for _ in range(reader.take("H")):
        flags = reader.take("B")
        column = reader.string()
        columns.append(Column(bool(flags & 1), column, reader.take("Ii")[0]))
    return Relation(oid, schema, name, identity, columns)


def _type(reader):
    reader.take("I")
    reader.string()
    reader.string()


def _insert(reader):
    oid = reader.take("I")
    _expect(reader, b"N")
    return Row("insert", oid, None, None, reader.tuple())


def _update(reader):
    oid = reader.take("I")
    kind, old_kind, old = reader.bytes(1), None, None
    if kind in (b"K", b"O"):
        old_kind, old = kind.decode(), reader.tuple()
        kind = reader.bytes(1)
    if kind != b"N":
        raise ValueError("an update without a new row")
    return Row("update", oid, old_kind, old, reader.tuple())


def _delete(reader):
    oid = reader.take("I")
    kind = reader.bytes(1)
    if kind not in (b"K", b"O"):
        raise ValueError("a delete without an old row")
    return Row("delete", oid, kind.decode(), reader.tuple(), None)


def _truncate(reader):
    count = reader.take("i")
    reader.take("B")
    return Truncate([reader.take("I") for _ in range(count)])


def _message(reader):
    flags, lsn = reader.take("BQ")
    prefix = reader.string()
    return Message(bool(flags & 1), lsn, prefix, reader.bytes(reader.take("i")))


def _stray_abort(reader):
    """Stream Abort, which PostgreSQL 18 sends although nothing is streamed; it says nothing."""
    reader.take("II")


def _expect(reader, kind):
    found = reader.bytes(1)
    if found != kind:
        raise ValueError("%r where %r belongs" % (found, kind))


_BODIES = {
    b"B": _begin, b"C": _commit, b"O": _origin, b"R": _relation, b"Y": _type, b"I": _insert,
    b"U": _update, b"D": _delete, b"T": _truncate, b"M": _message, b"A": _stray_abort,
}
