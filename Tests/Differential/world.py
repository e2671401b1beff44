"""A random database and what happens in it: schemas, types, tables, publications, changes, DDL.

Nothing is modelled: before each statement the catalog is asked what there is, and a statement that the server
refuses is no matter. The server's own decoding is the judge of what has happened.
"""

from pgclient import ServerError, Session
from samples import BUILTIN, MULTIRANGES, Samples, ident, literal

_TABLES = """SELECT c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.relreplident
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  ORDER BY c.oid"""
_COLUMNS = """SELECT a.attname, a.atttypid, a.attgenerated <> '', a.attidentity = 'a',
    a.attnum = ANY (coalesce((SELECT indkey::int2[] FROM pg_index WHERE indrelid = attrelid AND indisprimary), '{}'))
  FROM pg_attribute a WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""


class Table:
    def __init__(self, row):
        self.oid, self.kind, self.is_leaf, self.identity = int(row[0]), row[3], row[4] == "t", row[5]
        self.name = "%s.%s" % (ident(row[1]), ident(row[2]))


class Column:
    def __init__(self, row):
        self.name, self.type = ident(row[0]), int(row[1])
        self.generated, self.is_key = row[2] == "t" or row[3] == "t", row[4] == "t"


class World:
    """One seed's database. `live` leaves out what another moment of asking the catalog would tell otherwise."""

    def __init__(self, random, connect, version, live, any_bytes=False):
        self.random, self.connect, self.version, self.live = random, connect, version, live
        self.samples = Samples(random, any_bytes)
        self.log = []
        self.admin = connect()
        self.schemas, self.types, self.makers = ["public"], [], {}
        self.publication = self.samples.name()

    def close(self):
        self.admin.close()

    # Statements

    def run(self, session, text, copy=None):
        """Runs a statement; whether the server took it."""
        try:
            session.query(text, copy)
            self.log.append("/* %x */ %s;" % (id(session) & 0xFFFF, text))
            return True
        except ServerError as error:
            if error.code in ("08006", "57P01", "XX000"):
                raise
            self.log.append("/* %x refused: %s */ -- %s" % (id(session) & 0xFFFF, error, text.replace("\n", " ")))
            return False

    def chance(self, probability):
        return self.random.random() < probability

    def tables(self, session):
        return [Table(row) for row in session.query(_TABLES)]

    def columns(self, session, table):
        return [Column(row) for row in session.query(_COLUMNS % table.oid)]

    # Types

    def make_types(self):
        names = list(BUILTIN) + (list(MULTIRANGES) if self.version >= 14 else [])
        for name in names:
            oid = int(self.admin.value("SELECT %s::regtype::oid" % literal(name)))
            self._add(name, oid, self._maker(name))
        schema = self.samples.name()
        self.schemas.append(schema)
        self.run(self.admin, "CREATE SCHEMA %s" % ident(schema))
        labels = [self.samples.name() for _ in range(3)]
        self._define(schema, "AS ENUM (%s)" % ", ".join(map(literal, labels)),
                     lambda: literal(self.random.choice(labels)))
        for _ in range(2):
            base, maker = self._any()
            self._define(schema, "AS %s" % base, maker, "DOMAIN")
        fields = [(self.samples.name(), *self._any()) for _ in range(self.random.randrange(1, 5))]
        self._define(
            schema, "AS (%s)" % ", ".join("%s %s" % (ident(f[0]), f[1]) for f in fields),
            lambda: "ROW(%s)" % ", ".join(self.value_of(f[2]) for f in fields))
        self._define(schema, "AS RANGE (subtype = text, collation = \"C\")", lambda: literal('[a,"z,""")'))
        for _ in range(4):
            element, maker = self._any()
            self._add("%s[]" % element, None, self._array(element, maker))
        if self.run(self.admin, "CREATE EXTENSION hstore SCHEMA public"):
            self._define(None, None, lambda: self.random.choice(["''", "'k=>v, n=>NULL'", "hstore('q\"\\', '')"]), "public.hstore")

    def _maker(self, name):
        if name in MULTIRANGES:
            return lambda: literal(self.random.choice(MULTIRANGES[name]))
        return lambda: literal(self.samples.builtin(name))

    def _any(self):
        """A type; often one whose values go out of line."""
        texts = [kind for kind in self.types if kind[0] == "text"]
        return self.random.choice(texts if texts and self.chance(0.15) else self.types)

    def _define(self, schema, body, maker, kind="TYPE"):
        name = kind
        if schema:
            name = "%s.%s" % (ident(schema), ident(self.samples.name()))
            if not self.run(self.admin, "CREATE %s %s %s" % (kind, name, body)):
                return
        self._add(name, None, lambda: "%s::%s" % (maker(), name))

    def _add(self, name, oid, maker):
        if oid is None:
            oid = int(self.admin.value("SELECT %s::regtype::oid" % literal(name)))
        self.types.append((name, maker))
        self.makers[oid] = maker

    def _array(self, element, maker):
        def make():
            items = [self.value_of(maker) for _ in range(self.random.randrange(4))]
            one = "ARRAY[%s]::%s[]" % (", ".join(items), element)
            if items and self.chance(0.2):
                return "ARRAY[%s, %s]" % (one, one)
            if items and self.chance(0.1):
                return "array_fill((%s)[1], ARRAY[2], ARRAY[-1])" % one
            return one
        return make

    def value_of(self, maker):
        return "NULL" if self.chance(0.15) else maker()

    def value(self, column):
        """An expression for a column; of its key from few values, so that rows meet."""
        if column.type in (25, 1043) and self.chance(0.25):
            return self.samples.toasted()
        if column.is_key and column.type in (20, 21, 23):
            return str(self.random.randrange(400))
        maker = self.makers.get(column.type)
        if maker is None:
            return "NULL"
        return maker() if column.is_key else self.value_of(maker)

    # Tables

    def make_table(self, session, schema=None):
        schema = schema or self.random.choice(self.schemas)
        name = "%s.%s" % (ident(schema), ident(self.samples.name()))
        columns = []
        for _ in range(self.random.choice([0, 1, 2, 3, 4, 5, 6, 8, 12, 40])):
            columns.append("%s %s" % (ident(self.samples.name()), self._any()[0]))
        keys = []
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 3])):
            keys.append(ident(self.samples.name()))
            kind = self.random.choice(["int", "int", "bigint", "text", "uuid", "numeric"])
            columns.insert(self.random.randrange(len(columns) + 1), "%s %s NOT NULL" % (keys[-1], kind))
        number = next((c.split(" NOT NULL")[0] for c in columns if c.endswith((" int NOT NULL", " bigint NOT NULL"))), None)
        if number and self.chance(0.2):
            generated = ident(self.samples.name())
            kind = "VIRTUAL" if self.version >= 18 and self.chance(0.3) else "STORED"
            columns.append("%s numeric GENERATED ALWAYS AS (%s * 2::numeric) %s%s" % (
                generated, number.rsplit(" ", 1)[0], kind, " NOT NULL" if self.chance(0.5) else ""))
            if kind == "STORED" and self.chance(0.3):
                keys.append(generated)
        carried = []
        if keys and self.chance(0.15):
            carried = [ident(self.samples.name())]
            columns.append("%s text NOT NULL" % carried[0])
        body = list(columns)
        include = " INCLUDE (%s)" % ", ".join(carried) if carried else ""
        if keys and self.chance(0.8):
            defer = " DEFERRABLE" if self.chance(0.08) else ""
            body.append("PRIMARY KEY (%s)%s%s" % (", ".join(keys), include, defer))
        if not self.run(session, "CREATE TABLE %s (%s)" % (name, ", ".join(body))):
            return None
        if keys and self.chance(0.4):
            index = ident(self.samples.name())
            chosen = self.random.sample(keys, self.random.randrange(1, len(keys) + 1))
            if self.run(session, "CREATE UNIQUE INDEX %s ON %s (%s)" % (index, name, ", ".join(chosen))):
                self.run(session, "ALTER TABLE %s REPLICA IDENTITY USING INDEX %s" % (name, index))
        # Without a key the server takes inserts only, unless the whole row is the identity.
        if self.chance(0.35 if len(body) > len(columns) else 0.8):
            kinds = ["FULL", "FULL", "FULL", "NOTHING", "DEFAULT"]
            self.run(session, "ALTER TABLE %s REPLICA IDENTITY %s" % (name, self.random.choice(kinds)))
        return name

    def make_partitions(self, session):
        """A partitioned table, its leaves with columns of their own order and identities of their own."""
        schema = ident(self.random.choice(self.schemas))
        names = [ident(self.samples.name()) for _ in range(4)]
        kinds = ["int NOT NULL", self._any()[0], "text", self._any()[0]]
        columns = ["%s %s" % pair for pair in zip(names, kinds)]
        root = "%s.%s" % (schema, ident(self.samples.name()))
        key = ", ".join(names[:1] if self.chance(0.7) else [names[0], names[2]])
        primary = ", PRIMARY KEY (%s)" % key if self.chance(0.8) else ""
        if not self.run(session, "CREATE TABLE %s (%s%s) PARTITION BY RANGE (%s)" % (root, ", ".join(columns), primary, names[0])):
            return
        for number in range(3):
            leaf = "%s.%s" % (schema, ident(self.samples.name()))
            bounds = "FOR VALUES FROM (%d) TO (%d)" % (number * 150, number * 150 + 150)
            if number == 1 and self.chance(0.4):
                inner = "%s.%s" % (schema, ident(self.samples.name()))
                self.run(session, "CREATE TABLE %s PARTITION OF %s %s PARTITION BY RANGE (%s)" % (leaf, root, bounds, names[0]))
                self.run(session, "CREATE TABLE %s PARTITION OF %s DEFAULT" % (inner, leaf))
                leaf = inner
            elif self.chance(0.5):
                self.run(session, "CREATE TABLE %s PARTITION OF %s %s" % (leaf, root, bounds))
            else:
                order = self.random.sample(columns, len(columns))
                if len(key) > len(names[0]):
                    order = [c + (" NOT NULL" if c == columns[2] else "") for c in order]
                self.run(session, "CREATE TABLE %s (dropped int, %s)" % (leaf, ", ".join(order)))
                self.run(session, "ALTER TABLE %s DROP COLUMN dropped" % leaf)
                self.run(session, "ALTER TABLE %s ATTACH PARTITION %s %s" % (root, leaf, bounds))
            if self.chance(0.4):
                self.run(session, "ALTER TABLE %s REPLICA IDENTITY %s" % (leaf, self.random.choice(["FULL", "FULL", "NOTHING"])))
        if self.chance(0.4):
            self.run(session, "ALTER TABLE %s REPLICA IDENTITY FULL" % root)

    def make_publication(self):
        options = []
        if self.chance(0.5):
            options.append("publish_via_partition_root = %s" % self.random.choice(["true", "false"]))
        if self.chance(0.15):
            options.append("publish = '%s'" % self.random.choice(["insert", "insert, truncate", "insert, delete", "update, delete"]))
        if self.version >= 18 and self.chance(0.3):
            options.append("publish_generated_columns = stored")
        with_options = " WITH (%s)" % ", ".join(options) if options else ""
        name = ident(self.publication)
        tables = self.tables(self.admin)
        if tables and self.chance(0.45):
            parts = [self._published(table) for table in tables if not table.is_leaf or self.chance(0.3)]
            if parts and self.run(self.admin, "CREATE PUBLICATION %s FOR TABLE %s%s" % (name, ", ".join(parts), with_options)):
                return
        if self.version >= 15 and self.chance(0.2):
            schemas = ", ".join(map(ident, self.schemas))
            if self.run(self.admin, "CREATE PUBLICATION %s FOR TABLES IN SCHEMA %s%s" % (name, schemas, with_options)):
                return
        self.admin.query("CREATE PUBLICATION %s FOR ALL TABLES%s" % (name, with_options))

    def _published(self, table):
        """A table of a publication, maybe with some columns only, maybe with some rows only."""
        text = table.name
        if self.version < 15:
            return text
        columns = self.columns(self.admin, table)
        named = [c for c in columns if not c.generated and (c.is_key and self.chance(0.9) or self.chance(0.6))]
        if named and self.chance(0.3):
            text += " (%s)" % ", ".join(c.name for c in named)
        keys = [c for c in columns if c.is_key and not c.generated]
        if keys and self.chance(0.25):
            column = self.random.choice(keys)
            condition = "%s %% 2 = 0" % column.name if column.type in (20, 23) else "%s IS NOT NULL" % column.name
            text += " WHERE (%s)" % condition
        return text

    def set_up(self):
        self.make_types()
        for _ in range(self.random.randrange(1, 5)):
            self.make_table(self.admin)
        if self.chance(0.6):
            self.make_partitions(self.admin)
        self.make_publication()

    def session(self):
        return self.connect({"lock_timeout": "40ms", "statement_timeout": "20s"})
