"""A PostgreSQL client of a hundred lines: the simple query protocol over a Unix socket, as a trusted user.

Written from the manual's chapter "Frontend/Backend Protocol". It exists so that the differential test
needs nothing beyond Python's standard library.
"""

import socket
import struct


class ServerError(Exception):
    """What the server refused: its SQLSTATE and its message."""

    def __init__(self, fields):
        self.code = fields.get("C", "")
        super().__init__("%s: %s" % (self.code, fields.get("M", "")))


class Session:
    """One session. `query` gives the rows of the last result, each a list of texts or None."""

    def __init__(self, directory, port, database, user="postgres", settings=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(120)
        self.socket.connect("%s/.s.PGSQL.%d" % (directory, port))
        self.buffer = b""
        self.copied = b""
        parameters = {"user": user, "database": database, "client_encoding": "UTF8"}
        parameters.update(settings or {})
        body = b"".join(
            key.encode() + b"\0" + value.encode() + b"\0" for key, value in parameters.items())
        body = struct.pack("!i", 196608) + body + b"\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self._until_ready(None)

    def close(self):
        try:
            self.socket.sendall(b"X\0\0\0\4")
        except OSError:
            pass
        self.socket.close()

    def query(self, text, copy=None):
        """Runs one text; `copy` is what COPY FROM STDIN reads, what COPY TO STDOUT wrote is in `copied`."""
        body = text.encode("utf-8", "surrogateescape") + b"\0"
        self.copied = b""
        self.socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
        return self._until_ready(copy)

    def value(self, text):
        """The only value of the only row; None without a row."""
        rows = self.query(text)
        return rows[0][0] if rows else None

    def _read(self, count):
        while len(self.buffer) < count:
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise ServerError({"C": "08006", "M": "the server closed the connection"})
            self.buffer += piece
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _message(self):
        head = self._read(5)
        return head[:1], self._read(struct.unpack("!i", head[1:])[0] - 4)

    def _until_ready(self, copy):
        rows, error = [], None
        while True:
            kind, body = self._message()
            if kind == b"D":
                rows.append(self._row(body))
            elif kind == b"T":
                rows = []
            elif kind == b"E":
                error = self._fields(body)
                # A refused start ends the connection.
                if error.get("S") in ("FATAL", "PANIC"):
                    raise ServerError(error)
            elif kind == b"G":
                self.socket.sendall(self._copy_data(copy or b""))
            elif kind == b"d":
                self.copied += body
            elif kind == b"R" and struct.unpack("!i", body[:4])[0] != 0:
                raise ServerError({"C": "28000", "M": "the differential test needs trust"})
            elif kind == b"Z":
                if error:
                    raise ServerError(error)
                return rows

    @staticmethod
    def _copy_data(data):
        return b"d" + struct.pack("!i", len(data) + 4) + data + b"c\0\0\0\4"

    @staticmethod
    def _row(body):
        values, at = [], 2
        for _ in range(struct.unpack("!h", body[:2])[0]):
            size = struct.unpack("!i", body[at:at + 4])[0]
            at += 4
            values.append(None if size < 0 else body[at:at + size].decode("utf-8", "surrogateescape"))
            at += max(size, 0)
        return values

    @staticmethod
    def _fields(body):
        return {part[:1].decode(): part[1:].decode("utf-8", "replace")
                for part in body.split(b"\0") if part}
