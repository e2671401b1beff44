"""What happens in a world: transactions of several sessions, interleaved, with all that may stand in them."""

from pgclient import ServerError
from samples import ident, literal


class Changes:
    """Random transactions over a world's tables."""

    def __init__(self, world):
        self.world, self.random = world, world.random
        self.prepared = 0
        self.statements = [
            (self.insert, 8), (self.update, 11), (self.delete, 3), (self.truncate, 0.5), (self.copy, 2),
            (self.upsert, 2), (self.merge, 1), (self.message, 1.5), (self.big, 0.7), (self.move, 1),
            (self.ddl, 3.5), (self.rewrite, 0.3), (self.aside, 0.5)]

    def happen(self, transactions, disturb=lambda: None):
        """Runs transactions of up to three sessions, one statement at a time, each session when chance says so."""
        sessions = [self.world.session() for _ in range(self.random.randrange(1, 4))]
        running = {}
        for session in sessions:
            for _ in range(3):
                if self.world.tables(session):
                    self.insert(session)
        while transactions or running:
            session = self.random.choice(sessions)
            steps = running.get(session)
            if steps is None:
                if not transactions:
                    continue
                transactions -= 1
                steps = running[session] = self.transaction(session)
            if next(steps, self) is self:
                del running[session]
            if self.random.random() < 0.02:
                disturb()
        for session in sessions:
            session.close()

    def transaction(self, session):
        """A transaction, one statement after the other; a refused one ends it, or goes back to a savepoint."""
        run = self.world.run
        if self.random.random() < 0.3:
            self.statement(session)
            return
        run(session, "BEGIN")
        if self.random.random() < 0.05:
            yield from self.abandoned(session)
            return
        depth, fine = 0, True
        for _ in range(self.random.randrange(1, 9)):
            yield
            chance = self.random.random()
            if chance < 0.25:
                depth += 1
                run(session, "SAVEPOINT s%d" % depth)
            elif depth and chance < 0.35:
                run(session, "%s s%d" % (self.random.choice(["ROLLBACK TO", "RELEASE"]), depth))
                depth -= 1
            if not self.statement(session):
                if not depth:
                    fine = False
                    break
                run(session, "ROLLBACK TO s%d" % depth)
        yield
        self.end(session, fine)

    def abandoned(self, session):
        """A large transaction that is rolled back, with a subtransaction that was kept until then."""
        self.world.run(session, "SAVEPOINT kept")
        if self.statement(session):
            self.world.run(session, "RELEASE kept")
            yield
            self.big(session)
            yield
        self.world.run(session, "ROLLBACK")

    def end(self, session, fine):
        run, chance = self.world.run, self.random.random()
        if not fine or chance < 0.1:
            run(session, "ROLLBACK")
        elif chance < 0.2:
            self.prepared += 1
            if run(session, "PREPARE TRANSACTION 'p%d'" % self.prepared):
                word = "COMMIT" if self.random.random() < 0.7 else "ROLLBACK"
                run(session, "%s PREPARED 'p%d'" % (word, self.prepared))
            else:
                run(session, "ROLLBACK")
        else:
            run(session, "COMMIT")

    def statement(self, session):
        kinds, weights = zip(*self.statements)
        try:
            return self.random.choices(kinds, weights)[0](session)
        except ServerError as error:
            # What was asked of the catalog ran into a lock or into an aborted transaction.
            if error.code in ("08006", "57P01", "XX000"):
                raise
            return False

    # Rows

    def table(self, session):
        tables = self.world.tables(session)
        roots = [table for table in tables if not table.is_leaf]
        if roots and self.random.random() < 0.7:
            tables = roots
        return self.random.choice(tables) if tables else None

    def row(self, columns):
        return "(%s)" % ", ".join(self.world.value(c) for c in columns)

    def chosen(self, session, table):
        """Columns to write: the key's, and most of the others."""
        columns = [c for c in self.world.columns(session, table) if not c.generated]
        return [c for c in columns if c.is_key or self.random.random() < 0.9]

    def insert(self, session, more=""):
        table = self.table(session)
        if table is None:
            return True
        columns = self.chosen(session, table)
        if not columns:
            return self.world.run(session, "INSERT INTO %s DEFAULT VALUES" % table.name)
        rows = ", ".join(self.row(columns) for _ in range(self.random.randrange(1, 5)))
        names = ", ".join(c.name for c in columns)
        more = more or self.random.choice(["", " ON CONFLICT DO NOTHING", " ON CONFLICT DO NOTHING"])
        return self.world.run(session, "INSERT INTO %s (%s) VALUES %s%s" % (table.name, names, rows, more))

    def some(self, table, limit=4):
        return "WHERE ctid = ANY (ARRAY(SELECT ctid FROM %s ORDER BY random() LIMIT %d))" % (
            table.name, self.random.randrange(1, limit))

    def assignments(self, session, table):
        columns = [c for c in self.world.columns(session, table) if not c.generated]
        set_columns = [c for c in columns if self.random.random() < (0.15 if c.is_key else 0.4)]
        return ", ".join("%s = %s" % (c.name, self.assigned(c)) for c in set_columns)

    def assigned(self, column):
        if self.random.random() < 0.15:
            return column.name
        if column.is_key and column.type in (20, 23):
            return "%s + %d" % (column.name, self.random.randrange(500, 900))
        return self.world.value(column)

    def update(self, session):
        table = self.table(session)
        sets = table and self.assignments(session, table)
        if not sets:
            return True
        return self.world.run(session, "UPDATE %s SET %s %s" % (table.name, sets, self.some(table)))

    def move(self, session):
        """Small changes of keys, which may take a row into another partition."""
        table = self.table(session)
        keys = [c for c in self.world.columns(session, table)
                if c.is_key and c.type in (20, 23) and not c.generated] if table else []
        if not keys:
            return True
        return self.world.run(session, "UPDATE %s SET %s = (%s + 150) %% 450 %s" % (
            table.name, keys[0].name, keys[0].name, self.some(table)))

    def delete(self, session):
        table = self.table(session)
        return table is None or self.world.run(session, "DELETE FROM %s %s" % (table.name, self.some(table)))

    def upsert(self, session):
        table = self.table(session)
        if table is None:
            return True
        keys = [c for c in self.world.columns(session, table) if c.is_key]
        others = [c for c in self.world.columns(session, table) if not c.is_key and not c.generated]
        if not keys or not others:
            return True
        return self.insert(session) and self.world.run(
            session, "INSERT INTO %s SELECT * FROM %s %s ON CONFLICT (%s) DO UPDATE SET %s = %s" % (
                table.name, table.name, self.some(table), ", ".join(k.name for k in keys),
                others[0].name, self.world.value(others[0])))

    def merge(self, session):
        table = self.table(session)
        keys = [c for c in self.world.columns(session, table) if c.is_key] if table else []
        sets = table and self.assignments(session, table)
        if self.world.version < 15 or not keys or not sets:
            return True
        key = keys[0].name
        return self.world.run(
            session, "MERGE INTO %s AS t USING (SELECT %s AS k FROM %s ORDER BY random() LIMIT 3) AS s"
            " ON t.%s = s.k WHEN MATCHED AND random() < 0.3 THEN DELETE WHEN MATCHED THEN UPDATE SET %s" % (
                table.name, key, table.name, key, sets))

    def truncate(self, session):
        tables = self.world.tables(session)
        if not tables:
            return True
        chosen = self.random.sample(tables, min(len(tables), self.random.randrange(1, 4)))
        return self.world.run(session, "TRUNCATE %s%s%s" % (
            ", ".join(t.name for t in chosen), self.random.choice(["", " RESTART IDENTITY"]),
            self.random.choice(["", " CASCADE"])))

    def copy(self, session):
        table = self.table(session)
        columns = table and self.chosen(session, table)
        if not columns:
            return True
        rows = " UNION ALL ".join("SELECT %s" % ", ".join(self.cast(c) for c in columns) for _ in range(3))
        names = ", ".join(c.name for c in columns)
        if not self.world.run(session, "COPY (%s) TO STDOUT" % rows):
            return False
        return self.world.run(session, "COPY %s (%s) FROM STDIN" % (table.name, names), session.copied)

    def cast(self, column):
        return "CAST(%s AS text)" % self.world.value(column)

    def big(self, session):
        """Enough rows to be streamed before the end."""
        table = self.table(session)
        columns = table and self.chosen(session, table)
        if not columns:
            return True
        values = ["g + 1000" if c.is_key and c.type in (20, 23) else self.world.value(c) for c in columns]
        names = ", ".join(c.name for c in columns)
        return self.world.run(
            session, "INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %d) g ON CONFLICT DO NOTHING" % (
                table.name, names, ", ".join(values), self.random.choice([100, 300, 600])))

    def message(self, session):
        if self.world.version < 14:
            return True
        return self.world.run(session, "SELECT pg_logical_emit_message(%s, %s, '\\x00ff27'::bytea)" % (
            self.random.choice(["true", "true", "false"]), literal(self.world.samples.text())))

    def aside(self, session):
        """What must leave nothing in the stream."""
        word = self.world.samples.name()
        return self.world.run(session, self.random.choice([
            "CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.t AS SELECT 1 AS a",
            "CREATE UNLOGGED TABLE %s AS SELECT 1 AS a" % ident(word),
            "CREATE MATERIALIZED VIEW %s AS SELECT 1 AS a" % ident(word),
            "SELECT lo_create(0)", "CREATE SEQUENCE %s" % ident(word), "ANALYZE"]))

    # DDL

    def ddl(self, session):
        table = self.table(session)
        if table is None:
            return self.world.make_table(session) is not None
        columns = self.world.columns(session, table)
        choices = [
            self.add_column, self.add_column, self.drop_column, self.change_type, self.new_table, self.storage]
        # A root's new name reaches rows of its partitions when the server describes them anew: after a
        # reconnect, or in a streamed transaction (docs/LIMITS.md). And a root's key is that of leaves
        # whose identity is the whole row.
        if not (self.world.live and (table.kind == "p" or table.is_leaf)):
            if table.kind != "p":
                choices += [self.rename_table, self.set_schema]
            if not (self.world.live and table.identity in "fn"):
                choices.append(self.rename_column)
        if not self.world.live:
            choices += [
                self.identity, self.identity, self.drop_table, self.detach, self.publication, self.change_key]
        return self.random.choice(choices)(session, table, columns)

    def add_column(self, session, table, columns):
        name, maker = self.world._any()
        default = " DEFAULT %s" % maker() if self.random.random() < 0.4 else ""
        return self.alter(session, table, "ADD COLUMN %s %s%s" % (ident(self.world.samples.name()), name, default))

    def drop_column(self, session, table, columns):
        free = [c for c in columns if not c.is_key or (self.random.random() < 0.1 and not self.world.live)]
        return not free or self.alter(session, table, "DROP COLUMN %s" % self.random.choice(free).name)

    def change_type(self, session, table, columns):
        if not columns:
            return True
        kind = self.random.choice(["text", "bigint", "numeric", "varchar(5000)"])
        column = self.random.choice(columns)
        using = " USING %s::text::%s" % (column.name, kind) if self.random.random() < 0.3 else ""
        return self.alter(session, table, "ALTER COLUMN %s TYPE %s%s" % (column.name, kind, using))

    def rename_column(self, session, table, columns):
        return not columns or self.alter(session, table, "RENAME COLUMN %s TO %s" % (
            self.random.choice(columns).name, ident(self.world.samples.name())))

    def rename_table(self, session, table, columns):
        return self.alter(session, table, "RENAME TO %s" % ident(self.world.samples.name()))

    def set_schema(self, session, table, columns):
        return self.alter(session, table, "SET SCHEMA %s" % ident(self.random.choice(self.world.schemas)))

    def identity(self, session, table, columns):
        return self.alter(session, table, "REPLICA IDENTITY %s" % self.random.choice(["FULL", "DEFAULT", "NOTHING"]))

    def change_key(self, session, table, columns):
        name = session.value(
            "SELECT conname FROM pg_constraint WHERE contype = 'p' AND conrelid = %d" % table.oid)
        plain = [c for c in columns if c.type in (20, 23, 25)]
        parts = ["DROP CONSTRAINT %s" % ident(name)] if name else []
        if plain and self.random.random() < 0.7:
            parts.append("ADD PRIMARY KEY (%s)" % self.random.choice(plain).name)
        return not parts or self.alter(session, table, ", ".join(parts))

    def storage(self, session, table, columns):
        texts = [c for c in columns if c.type == 25]
        return not texts or self.alter(session, table, "ALTER COLUMN %s SET STORAGE EXTERNAL" % texts[0].name)

    def new_table(self, session, table, columns):
        return self.world.make_table(session) is not None

    def drop_table(self, session, table, columns):
        if self.random.random() < 0.7:
            return True
        return self.world.run(session, "DROP TABLE %s CASCADE" % table.name)

    def publication(self, session, table, columns):
        """A publication that changes while it is read."""
        name = ident(self.world.publication)
        what = self.random.choice([
            "DROP TABLE %s" % table.name, "ADD TABLE %s" % table.name, "SET (publish = 'insert, update')",
            "SET (publish = 'insert, update, delete, truncate')"])
        return self.world.run(session, "ALTER PUBLICATION %s %s" % (name, what))

    def detach(self, session, table, columns):
        parent = table.is_leaf and session.value(
            "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = %d" % table.oid)
        return not parent or self.world.run(session, "ALTER TABLE %s DETACH PARTITION %s" % (parent, table.name))

    def rewrite(self, session):
        table = self.table(session)
        keys = [c for c in self.world.columns(session, table) if c.is_key] if table else []
        if not keys:
            return True
        index = session.value(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indisprimary AND indrelid = %d" % table.oid)
        return self.world.run(session, "CLUSTER %s USING %s" % (table.name, index.rsplit(".", 1)[-1]))

    def alter(self, session, table, what):
        return self.world.run(session, "ALTER TABLE %s %s" % (table.name, what))
