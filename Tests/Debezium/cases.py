"""The changes that both programs read: every type, every kind of identity, and what rows may do.

Values of types are those of Tests/Support/TypeSamples.swift, read from its source, so that a type
added there is compared here.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Differential"))
import samples  # noqa: E402

SWIFT = (HERE.parent / "Support" / "TypeSamples.swift").read_text()
_STRING = re.compile(r'#"(.*?)"#|"((?:[^"\\]|\\.)*)"', re.S)


def _strings(source):
    for raw, text in _STRING.findall(source):
        yield raw if raw else text.replace('\\"', '"').replace("\\\\", "\\")


def _block(start, end):
    begin = SWIFT.index(start)
    return SWIFT[begin + len(start):SWIFT.index(end, begin)]


TYPES = re.sub(r"(?m)^    ", "", _block('types = """\n', '    """'))
BUILTIN = list(_strings(_block("builtin = [", "\n  ]")))
EDGES = {}
for _line in re.split(r',\n    (?=")|\], (?=")', _block("edges: [String: [String]] = [", "\n  ]\n")):
    _parts = list(_strings(_line))
    if _parts:
        EDGES[_parts[0]] = _parts[1:]

# Rows of the suite's own types.
OWN = {
    "t.mood": ["sad", 'very "happy"', "", "a,b"], "t.positive": ["7"], "t.mild": ["9"], "t.texts": ['{"a,b",NULL}'],
    "t.pair": ['(a,"b ""c")', "(,)"], "t.paired": ["(a,b)"], "t.textrange": ["[a,b)", "empty"], "t.nothing": ["()"],
    "t.textmultirange": ["{[a,b)}"], "xid": ["7"], "cid": ["7"], "regtype": ["int4"],
}

# What stops Debezium 3.6's task for good, so that it cannot be compared: zones with seconds, hours beyond
# 32 bits.
FATAL = {
    "timetz": ["24:00+15:59:59", "0:0-15:59:59", "1:2:3-00:00:01"],
    "interval": ["2562047788:00:54.775807", "178956970 years 7 mons 2147483647 days 2562047788:00:54.775806"],
}

# Types whose modifier says how a value is written.
MODIFIED = {
    **{"timestamp(%d)" % p: ["2024-02-29 12:34:56.789123", "1969-12-31 23:59:59.999999", "infinity", "0001-01-01"] for p in range(7)},
    **{"timestamptz(%d)" % p: ["2024-02-29 12:34:56.789123+02", "-infinity"] for p in (0, 3, 5, 6)},
    **{"time(%d)" % p: ["12:34:56.789123", "24:00"] for p in range(7)},
    **{"timetz(%d)" % p: ["12:34:56.789123+05:30", "24:00-02"] for p in (0, 2, 3, 6)},
    "numeric(10,2)": ["1.5", "-0.01", "0", "12345678.99", "NaN"], "numeric(5)": ["5", "-99999"], "numeric(3,-2)": ["12300"],
    "numeric(3,5)": ["0.00123"], "numeric(38,0)": ["99999999999999999999999999999999999999"], "numeric(40,20)": ["1.5"],
    "varchar(10)": ["é\"\\\n\u0001/"], "char(5)": ["ab"], "bit(1)": ["1", "0"], "bit(8)": ["10000001"], "bit(33)": ["1" * 33],
    "varbit(5)": ["101"], "varbit(1)": ["1"], "interval day to second": ["1 day 02:03:04.5"], "interval(2)": ["1.239 s"],
    "varchar": ["</script>\u2028 \U0001F600 \x7f"], "jsonb ": ['{"a": [1, {"b": null}], "é": "x"}'], "json ": ['{"a" :\n 1, "a": 2}'],
}


def literal(text, type):
    return samples.literal(text) + "::" + type


def ident(name):
    return samples.ident(name)


class Script:
    """Tables, then changes, each one statement (list: statements of one transaction)."""

    def __init__(self):
        self.setup = []
        self.changes = []

    def table(self, name, columns, identity=None):
        self.setup.append("CREATE TABLE %s (%s)" % (name, columns))
        if identity:
            self.setup.append("ALTER TABLE %s REPLICA IDENTITY %s" % (name, identity))

    def do(self, *statements):
        self.changes.append(list(statements))


def types(script):
    """One table for each type, with one value a row, its array, and NULL."""
    known = {**{t: EDGES.get(t, []) + OWN.get(t, []) for t in BUILTIN}, **MODIFIED}
    for name in ("public.hstore", "public.citext", "public.ltree"):
        known[name] = EDGES.get(name, ["Ab.c"])
    random = __import__("random").Random(1)
    more = samples.Samples(random)
    for number, (type, values) in enumerate(known.items()):
        table = "types.t%03d_%s" % (number, re.sub(r"[^a-z0-9]+", "_", type.strip(' "')).strip("_"))
        if type in samples.BUILTIN:
            values = values + [more.builtin(type) for _ in range(4)]
        # There are no arrays of a domain over an array.
        array = "text[]" if type == "t.texts" else type + "[]"
        script.table(table, "id int PRIMARY KEY, v %s, a %s" % (type, array))
        row = 0
        for value in dict.fromkeys(values):
            if value in FATAL.get(type, []):
                continue
            row += 1
            one = literal(value, type)
            many = "NULL" if type == "t.texts" else "ARRAY[%s, NULL]" % one
            script.do("INSERT INTO %s VALUES (%d, %s, %s)" % (table, row, one, many))
        script.do("INSERT INTO %s VALUES (0, NULL, NULL), (-1, NULL, '{}')" % table)


KEYS = {
    "smallint": ["-5"], "bigint": ["9007199254740993"], "text": ['a"\\é\n/', ""], "varchar(20)": ["ü\U0001F600"], "uuid": ["6f0c1c9e" + "0" * 24],
    "numeric(10,2)": ["1.50"], "numeric": ["1.50", "10000"], "timestamptz": ["2024-02-29 12:34:56.789+01"], "timestamp(3)": ["2024-02-29 12:34:56.789"],
    "bytea": ["\\x00ff"], "boolean": ["t"], "date": ["2024-02-29"], "float8": ["1e10", "0.1"], "float4": ["1e10"], "char(4)": ["ab"],
    "t.mood": ["sad"], "inet": ["10.0.0.1"], "time": ["12:34:56.5"], "interval": ["1 day"], "jsonb": ['{"a": 1}'], "oid": ["4294967295"],
    "int[]": ["{1,2}"], "money": ["1.50"], "bit(3)": ["101"], "t.positive": ["3"],
}


def keys(script):
    """A key of each type that can be one; rows are written, changed and deleted."""
    for number, (type, values) in enumerate(KEYS.items()):
        table = "keys.k%02d" % number
        script.table(table, "k %s PRIMARY KEY, v text" % type)
        for value in values:
            k = literal(value, type)
            script.do("INSERT INTO %s VALUES (%s, 'a')" % (table, k))
            script.do("UPDATE %s SET v = 'b' WHERE k = %s" % (table, k))
            script.do("DELETE FROM %s WHERE k = %s" % (table, k))
    script.table("keys.many", "id bigint PRIMARY KEY, v int")
    script.do("INSERT INTO keys.many SELECT i * 1000003, i FROM generate_series(-150, 150) i")
    script.table("keys.pair", "v text, a int, b text, PRIMARY KEY (b, a)")
    script.do("INSERT INTO keys.pair VALUES ('v', 1, 'x'), ('w', 2, 'y')")
    script.do("UPDATE keys.pair SET a = 3 WHERE a = 1")
    script.do("DELETE FROM keys.pair WHERE a = 2")


TOAST = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i)"


LONG = {
    "text": TOAST, "json": "to_json(%s)" % TOAST, "jsonb": "to_jsonb(%s)" % TOAST, "xml": "xmlelement(name a, %s)" % TOAST,
    "bytea": "convert_to(%s, 'UTF8')" % TOAST, "numeric": "(repeat('123456789', 3000))::numeric", "varchar": TOAST,
    "numeric(1000,2)": "(repeat('123456789', 100))::numeric", "public.hstore": "public.hstore('k', %s)" % TOAST,
    "public.citext": TOAST, "varbit": "(repeat('1011', 8000))::varbit",
    "tsvector": "to_tsvector('simple', (SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 300) i))",
    **{t + "[]": "(SELECT array_agg(%s) FROM generate_series(1, 700) i)" % v for t, v in {
        "int": "i", "bigint": "i", "smallint": "i", "text": "i::text", "varchar": "i::text", "uuid": "md5(i::text)::uuid", "boolean": "i > 2",
        "numeric": "i", "numeric(10,2)": "i", "float8": "i", "float4": "i", "date": "DATE '2024-01-01' + i", "timestamp": "TIMESTAMP '2024-01-01'", "timestamptz": "now()",
        "time": "TIME '01:00'", "bytea": "'\\x00'::bytea", "json": "'1'::json", "inet": "'10.0.0.1'::inet"}.items()},
}


def toast(script):
    """An update that leaves TOASTed values of each type as they are."""
    columns = ["c%02d %s" % pair for pair in enumerate(LONG)]
    for name, identity in (("toast", "DEFAULT"), ("toast_f", "FULL")):
        script.table("rows." + name, "id int PRIMARY KEY, a int, " + ", ".join(columns), identity)
        for number in range(len(columns)):
            script.setup.append("ALTER TABLE rows.%s ALTER c%02d SET STORAGE EXTERNAL" % (name, number))
        script.do("INSERT INTO rows.%s VALUES (1, 1, %s)" % (name, ", ".join(LONG.values())))
        script.do("UPDATE rows.%s SET a = 2" % name)


def rows(script):
    """Identities, key changes, TOAST, truncate, messages, partitions, ALTER TABLE."""
    for name, identity in (("d", "DEFAULT"), ("f", "FULL"), ("n", "NOTHING")):
        table = "rows.id_%s" % name
        script.table(table, "id int PRIMARY KEY, a text, big text, n numeric, arr text[], bin bytea")
        script.setup.append("ALTER TABLE %s ALTER big SET STORAGE EXTERNAL, ALTER arr SET STORAGE EXTERNAL, "
                            "ALTER bin SET STORAGE EXTERNAL" % table)
        script.setup.append("ALTER TABLE %s REPLICA IDENTITY %s" % (table, identity))
        script.do("INSERT INTO %s VALUES (1, 'x', %s, 1.5, ARRAY[%s], convert_to(%s, 'UTF8'))" % (table, TOAST, TOAST, TOAST))
        script.do("INSERT INTO %s VALUES (2, NULL, 'small', NULL, NULL, NULL)" % table)
        if identity == "NOTHING":
            continue
        script.do("UPDATE %s SET a = 'y' WHERE id = 1" % table)
        script.do("UPDATE %s SET id = 10 WHERE id = 1" % table)
        script.do("UPDATE %s SET id = 20, a = 'z' WHERE id = 2" % table)
        script.do("DELETE FROM %s WHERE id = 10" % table)
        script.do("DELETE FROM %s" % table)
    toast(script)
    script.table("rows.strict", "id int PRIMARY KEY, a text NOT NULL, b int NOT NULL, c timestamptz NOT NULL, d numeric NOT NULL, "
                 "e boolean NOT NULL, f bytea NOT NULL, g int[] NOT NULL")
    script.do("INSERT INTO rows.strict VALUES (1, 'a', 2, '2024-01-01', 1.5, true, '\\x00', '{1}')")
    script.do("DELETE FROM rows.strict")
    script.setup.append("CREATE DOMAIN rows.price AS numeric(10,2)")
    script.setup.append("CREATE DOMAIN rows.moment AS timestamp(3)")
    script.table("rows.odd", "id int PRIMARY KEY, p rows.price, m rows.moment, d int[], e text[], f numeric(10,2)[]")
    script.do("INSERT INTO rows.odd VALUES (1, 1.5, '2024-02-29 12:34:56.789', '{{1,2},{3,4}}', '[2:3]={a,b}', '{1.5}')")
    script.table("rows.bare", "a int, b text", "FULL")
    script.do("INSERT INTO rows.bare VALUES (1, 'x'), (1, 'x'), (NULL, NULL)")
    script.do("UPDATE rows.bare SET b = 'y' WHERE a = 1")
    script.do("DELETE FROM rows.bare WHERE a IS NULL")
    script.do("INSERT INTO rows.mixed VALUES (100, 'm')", "INSERT INTO rows.bare VALUES (10, 'n')")
    script.table("rows.by_index", "a int, u text NOT NULL, w int NOT NULL")
    script.setup.append("CREATE UNIQUE INDEX by_index_key ON rows.by_index (u, w)")
    script.setup.append("ALTER TABLE rows.by_index REPLICA IDENTITY USING INDEX by_index_key")
    script.do("INSERT INTO rows.by_index VALUES (1, 'x', 2)")
    script.do("UPDATE rows.by_index SET a = 2")
    script.do("UPDATE rows.by_index SET u = 'y'")
    script.do("DELETE FROM rows.by_index")
    script.table("rows.pk_and_index", "id int PRIMARY KEY, u int NOT NULL UNIQUE")
    script.setup.append("ALTER TABLE rows.pk_and_index REPLICA IDENTITY USING INDEX pk_and_index_u_key")
    script.do("INSERT INTO rows.pk_and_index VALUES (1, 2)")
    script.do("UPDATE rows.pk_and_index SET id = 5")
    script.do("DELETE FROM rows.pk_and_index")
    script.table("rows.cut", "id int PRIMARY KEY, a int")
    script.do("INSERT INTO rows.cut VALUES (1, 1)", "TRUNCATE rows.cut", "INSERT INTO rows.cut VALUES (2, 2)")
    script.table("rows.parent", "id int, a int, PRIMARY KEY (id)")
    script.setup[-1] += " PARTITION BY RANGE (id)"
    script.setup.append("CREATE TABLE rows.child PARTITION OF rows.parent FOR VALUES FROM (0) TO (10)")
    script.setup.append("CREATE TABLE rows.other PARTITION OF rows.parent FOR VALUES FROM (10) TO (20)")
    script.do("INSERT INTO rows.parent VALUES (1, 1), (11, 2)")
    script.do("UPDATE rows.parent SET id = 12 WHERE id = 1")
    script.table("rows.grown", "id int PRIMARY KEY, a int")
    script.do("INSERT INTO rows.grown VALUES (1, 1)")
    script.do("ALTER TABLE rows.grown ADD b text DEFAULT 'x'")
    script.do("INSERT INTO rows.grown VALUES (2, 2, 'y')")
    script.do("ALTER TABLE rows.grown DROP a")
    script.do("INSERT INTO rows.grown VALUES (3, 'z')")
    script.do("ALTER TABLE rows.grown ALTER id TYPE bigint")
    script.do("UPDATE rows.grown SET b = 'q' WHERE id = 3")
    script.table("rows.defaults", "id int PRIMARY KEY, a int DEFAULT 7, b text DEFAULT 'x', c timestamptz DEFAULT now()")
    script.do("INSERT INTO rows.defaults VALUES (1, NULL, NULL, NULL), (2, 1, 'y', '2024-01-01')")
    script.table('rows."Order Lines"', '"Id" int PRIMARY KEY, "a ""b""" text, "é" text, "x.y-z" text, "select" text, "\\" text')
    script.do('INSERT INTO rows."Order Lines" VALUES (1, $$a$$, $$b$$, $$c$$, $$d$$, $$e$$)')
    script.table("rows.made", "id int PRIMARY KEY, a int GENERATED ALWAYS AS IDENTITY, g int GENERATED ALWAYS AS (id * 2) STORED")
    script.do("INSERT INTO rows.made VALUES (4)")
    script.do("SELECT pg_logical_emit_message(true, 'my prefix', 'content \u00e9')")
    script.do("SELECT pg_logical_emit_message(false, 'p', 'alone')")
    script.do("SELECT pg_logical_emit_message(true, 'p', '\\x00ff'::bytea)", "INSERT INTO rows.bare VALUES (9, 'm')")


def interleaved(sessions):
    """Three transactions at once, each of several changes, committed in another order."""
    for number, session in enumerate(sessions):
        session.query("BEGIN")
    for round in range(4):
        for number, session in enumerate(sessions):
            session.query("INSERT INTO rows.mixed VALUES (%d, 'r%d')" % (number * 10 + round, round))
            if round:
                session.query("UPDATE rows.mixed SET v = v || 'u' WHERE id = %d" % (number * 10 + round - 1))
    for number in (1, 2, 0):
        sessions[number].query("COMMIT")


def script():
    made = Script()
    made.setup += [s for s in re.split(r";\s*\n", TYPES) if s.strip()]
    made.setup += ["CREATE EXTENSION %s" % e for e in ("hstore", "citext", "ltree")]
    made.setup += ["CREATE SCHEMA %s" % s for s in ("types", "keys", "rows")]
    made.table("rows.mixed", "id int PRIMARY KEY, v text")
    made.table("rows.last", "id int PRIMARY KEY")
    types(made)
    keys(made)
    rows(made)
    return made
