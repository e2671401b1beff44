"""What the stream does not say: types, keys and partitions, as the catalog has them when all is done."""

from samples import literal


class Catalog:
    """A database's catalog. Events are read after the changes, so the program asks the same one."""

    def __init__(self, session, publication):
        version = int(session.value("SHOW server_version_num")) // 10000
        self.system = int(session.value("SELECT system_identifier FROM pg_control_system()"))
        self._types = {}
        self._read_types(session, version)
        self._keys = {}
        for oid, columns in session.query(
                "SELECT indrelid, array_to_string(ARRAY(SELECT encode(convert_to(attname, 'UTF8'), 'hex')"
                " FROM pg_attribute WHERE attrelid = indrelid"
                " AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1])), ' ')"
                " FROM pg_index WHERE indisprimary AND indimmediate"):
            self._keys[int(oid)] = _names(columns)
        # How many columns the identity's index has, where the publication leaves one of them out.
        published = (
            "EXISTS (SELECT FROM pg_publication_tables t WHERE pubname = %s AND schemaname = nspname"
            " AND tablename = relname AND attname = ANY (attnames))" % literal(publication)
            if version >= 15 else "true")
        generated = "" if version >= 18 else " AND attgenerated = ''"
        self._short = {int(oid): int(count) for oid, count in session.query(
            "SELECT indrelid, indnkeyatts FROM pg_index JOIN pg_class c ON c.oid = indrelid"
            " JOIN pg_namespace n ON n.oid = relnamespace WHERE indimmediate"
            " AND CASE relreplident WHEN 'd' THEN indisprimary WHEN 'i' THEN indisreplident ELSE false END"
            " AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = indrelid"
            " AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1]) AND NOT (%s%s))"
            % (published, generated))}
        self._partial = {int(row[0]) for row in session.query(
            "SELECT c.oid FROM pg_class c WHERE relkind = 'p' AND EXISTS (SELECT FROM"
            " pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid"
            " WHERE t.isleaf AND l.relkind = 'r' AND l.relreplident <> 'f')")}

    def _read_types(self, session, version):
        attributes = {}
        for oid, name, kind in session.query(
                "SELECT attrelid, encode(convert_to(attname, 'UTF8'), 'hex'), atttypid FROM pg_attribute"
                " WHERE attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum"):
            attributes.setdefault(int(oid), []).append((_name(name), int(kind)))
        for oid, name, kind, element, length, base, row, delimiter in session.query(
                "SELECT oid, typname, typtype, typelem, typlen, typbasetype, typrelid,"
                " coalesce((SELECT e.typdelim FROM pg_type e WHERE e.oid = t.typelem), ',')"
                " FROM pg_type t"):
            oid, element = int(oid), int(element)
            if kind == "d":
                self._types[oid] = ("d", int(base))
            elif kind == "c":
                self._types[oid] = ("c", attributes.get(int(row), []))
            elif kind == "b" and element and length == "-1" and oid not in (22, 30):
                self._types[oid] = ("a", (element, delimiter))
            elif name == "hstore":
                self._types[oid] = ("hstore", None)
            else:
                self._types[oid] = ("b", None)
        multirange = "rngmultitypid" if version >= 14 else "0"
        for oid, subtype, multi in session.query(
                "SELECT rngtypid, rngsubtype, %s FROM pg_range" % multirange):
            self._types[int(oid)] = ("r", int(subtype))
            self._types[int(multi)] = ("m", int(subtype))

    def type(self, oid):
        return self._types.get(oid, ("b", None))

    def primary_key(self, oid):
        return self._keys.get(oid, [])

    def leaves_out_key(self, relation):
        """Whether a part of the identity's index is not published."""
        flagged = sum(column.key for column in relation.columns)
        return flagged < self._short.get(relation.oid, 0)

    def has_partial_leaves(self, oid):
        return oid in self._partial


def _name(text):
    return bytes.fromhex(text).decode("utf-8")


def _names(text):
    return [_name(word) for word in text.split()]
