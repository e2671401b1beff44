"""Random names and values, as SQL."""


def ident(name):
    return '"%s"' % name.replace('"', '""')


def literal(text):
    """A string; a lone surrogate stands for the byte that it has in Python's surrogateescape."""
    text = text.replace("\\", "\\\\").replace("'", "''")
    return "E'%s'" % "".join("\\x%02x" % (ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c for c in text)


_WORDS = [
    "select", "user", "Order Lines", "a.b", 'q"x', "it's", "back\\slash", "tab\there", "line\nbreak", "prix€",
    "\U0001F600", "na\u0131ve", "a/b", "{schema}", "${HOME}", "%s", "$1", "-", "*", " lead", "trail ", "\u202ertl",
    "\u2028", "e\u0301", "NULL", "true", "0", "_", "\x01", "\x7f", "\u009b", "x" * 63, "é" * 31, "#", "[1]", "=", ";--",
]

_PIECES = [
    "", "a", "NULL", "null", '"', "'", "\\", "\n", "\r\n", "\t", "{", "}", "(", ")", "[", "]", ",", ";", " ", "é", "\u20ac",
    "\U0001F600", "\u2028", "\x01", "\x1f", "\x7f", "\u0085", "\ufffd", "\u0000"[1:], "=>", "\\u0041", "</script>", "0",
    "e\u0301", "\ufeff", "%",
]

# Bytes that are no UTF-8, whole and cut off.
_NO_TEXT = [
    part.decode("utf-8", "surrogateescape")
    for part in (b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\x80a\xbf")]


class Samples:
    """Everything random of one seed."""

    def __init__(self, random, any_bytes=False):
        self.random = random
        self.any_bytes = any_bytes
        self.used = set()

    def name(self):
        """A name that was not given before."""
        while True:
            word = self.random.choice(_WORDS)
            if self.random.random() < 0.4:
                word += self.random.choice(_WORDS)
            if self.random.random() < 0.5:
                word = "%s%d" % (word, self.random.randrange(100))
            word = word.encode()[:63].decode("utf-8", "ignore")
            if word and word not in self.used:
                self.used.add(word)
                return word

    def text(self):
        pieces = _PIECES + _NO_TEXT if self.any_bytes else _PIECES
        return "".join(self.random.choice(pieces) for _ in range(self.random.randrange(6)))

    def integer(self, bits):
        edge = 1 << (bits - 1)
        return self.random.choice([
            0, 1, -1, edge - 1, -edge, self.random.randrange(-edge, edge), self.random.randrange(1000)])

    def toasted(self):
        """An expression whose value goes out of line."""
        return ("(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, %d))"
                % self.random.randrange(80, 300))

    def document(self, depth=3):
        kind = self.random.randrange(8 if depth else 5)
        if kind < 2:
            return self.random.choice(["1", "-0", "1.50", "1e400", "12345678901234567890", "0.000", "1E+2"])
        if kind == 2:
            return self.random.choice(["true", "false", "null"])
        if kind < 5:
            return self.random.choice(['"x"', '""', '"\\u00e9\\n"', '"\\ud83d\\ude00"', '"\\\\u0041"', '"\\/"'])
        items = [self.document(depth - 1) for _ in range(self.random.randrange(3))]
        if kind == 5:
            return "[%s]" % self.random.choice([", ", ",\n "]).join(items)
        keys = ['"a"', '"a"', '"\\u00e9"', '""', '"b c"']
        return "{%s}" % ", ".join("%s :\t%s" % (self.random.choice(keys), item) for item in items)

    def json(self, binary):
        chance = self.random.random()
        if chance < 0.03:
            return "[" * 300 + "]" * 300
        if chance < 0.05:
            return "[" * 240 + "]" * 240
        if chance < 0.07:
            return "1" * self.random.choice([4300, 4301])
        if chance < 0.12 and not binary:
            return self.random.choice(['{"k":"\\ud800"}', '"\\udc00x"', '"\\ud800\\u0041"', '"\\\\ud800"', '" \\ud83d\\ude00"'])
        return self.document()

    # Values of built-in types: literals without their quotes.

    def builtin(self, name):
        return _BUILTIN[name](self)

    def choose(self, *texts):
        return self.random.choice(texts)


def _numeric(s):
    return s.choose("NaN", "0", "0.000", "-0.5", "1e100", "1e-30", "99999999.99999",
                    str(s.random.randrange(-10**18, 10**18)), "%d.%d" % (s.random.randrange(1000), s.random.randrange(10**6)))


def _stamp(s):
    return s.choose("infinity", "-infinity", "0044-03-15 12:00:00 BC", "4713-11-24 BC", "294276-12-31 23:59:59.999999",
                    "9999-12-31 23:59:59.999999", "10000-01-01", "1999-12-31 23:59:59.9", "0001-01-01", "2024-02-29 12:34:56.789",
                    "19%02d-0%d-1%d %02d:00:00.%d" % (
                        s.random.randrange(100), s.random.randrange(1, 10), s.random.randrange(10), s.random.randrange(24),
                        s.random.randrange(10**6)))


_BUILTIN = {
    "int2": lambda s: str(s.integer(16)), "int4": lambda s: str(s.integer(32)), "int8": lambda s: str(s.integer(64)),
    "oid": lambda s: s.choose("0", "4294967295", "17"), "bool": lambda s: s.choose("t", "f"),
    "float4": lambda s: s.choose("NaN", "Infinity", "-Infinity", "-0", "1e30", "1e-45", "0.1", repr(s.random.random())),
    "float8": lambda s: s.choose("NaN", "Infinity", "-0", "1e23", "5e-324", "9007199254740993", "1e15", "1e16", repr(s.random.random())),
    "numeric": _numeric, "money": lambda s: s.choose("0", "-0.05", "1234567.89"),
    "text": lambda s: s.text(), "varchar": lambda s: s.text(), "bpchar": lambda s: s.text()[:1], "name": lambda s: s.text()[:9],
    "bytea": lambda s: "\\x" + bytes(s.random.randrange(256) for _ in range(s.random.randrange(20))).hex(),
    "date": lambda s: s.choose("infinity", "-infinity", "0044-03-15 BC", "5874897-12-31", "2024-02-29", "10000-01-01", "0001-01-01"),
    "time": lambda s: s.choose("24:00", "0:0", "23:59:59.999999", "12:34:56.5"),
    "timetz": lambda s: s.choose("24:00+15:59:59", "12:34:56.5+05:30", "1:2-01"),
    "timestamp": _stamp, "timestamptz": _stamp,
    "interval": lambda s: s.choose("0", "1 year 2 mons 3 days 04:05:06.7", "-1 mons +2 days -03:00:00", "-00:00:00.000001"),
    "uuid": lambda s: "%032x" % s.random.getrandbits(128),
    "json": lambda s: s.json(False), "jsonb": lambda s: s.document().replace("1e400", "1e40"),
    "xml": lambda s: s.choose("<a>&lt;</a>", "x", ""),
    "bit(11)": lambda s: s.choose("10101010101", "00000000000"), "varbit": lambda s: s.choose("", "1", "111111110"),
    "inet": lambda s: s.choose("10.0.0.1/8", "::1", "::ffff:1.2.3.4", "fe80::1/64"), "cidr": lambda s: s.choose("10.0.0.0/8", "::/0"),
    "macaddr": lambda s: "08:00:2b:01:02:%02x" % s.random.randrange(256),
    "point": lambda s: s.choose("(1,2)", "(-0,1e300)"), "box": lambda s: "(1,2),(3,4)", "circle": lambda s: "<(1,2),3>",
    "path": lambda s: s.choose("((0,0),(1,1))", "[(0,0),(1.5,-2)]"), "polygon": lambda s: "((0,0),(1,1),(2,0))",
    "pg_lsn": lambda s: s.choose("0/0", "16/B374D848"), "tsvector": lambda s: s.choose("", "a:1A,2B 'it''s':7"),
    "tsquery": lambda s: s.choose("a & !b", "a <-> b | c"), "\"char\"": lambda s: s.choose("a", "", "\\"),
    "int2vector": lambda s: s.choose("", "-1 2 3"), "oidvector": lambda s: s.choose("", "1 4294967295"),
    "int4range": lambda s: s.choose("empty", "(,)", "[1,5)", "(,5]"),
    "numrange": lambda s: s.choose("empty", "[1.5,2.50]", "(,0)"),
    "tstzrange": lambda s: s.choose("[2024-01-01,infinity]", "(,)", "[0044-03-15 BC,2024-01-01 12:00)"),
    "regtype": lambda s: s.choose("int4", "text"),
}

BUILTIN = sorted(set(_BUILTIN) - {"regtype"})
# Only from PostgreSQL 14 on.
MULTIRANGES = {"int4multirange": ["{}", "{[1,2),[5,)}"], "tstzmultirange": ["{[2024-01-01,2024-01-02),[2025-01-01,)}"]}
