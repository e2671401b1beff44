"""Throw-away servers: PostgreSQL, Kafka, and a real Debezium in Kafka Connect."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = PROJECT.parent / "shared"
KAFKA = pathlib.Path(os.environ.get("KAFKA_KIT", SHARED / "kafka")) / "kafka"
DEBEZIUM = pathlib.Path(os.environ.get("DEBEZIUM_KIT", SHARED / "peers/debezium")) / "debezium"
sys.path.insert(0, str(PROJECT / "Tests/Differential"))
import pgclient  # noqa: E402

PARTITIONS = 3


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*command, env=None, check=True):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
    if check and done.returncode:
        sys.exit("compat-debezium: %s: %s%s" % (command[0], done.stdout, done.stderr))
    return done.stdout


def newest_postgres():
    if os.environ.get("PG_BIN"):
        return pathlib.Path(os.environ["PG_BIN"])
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if not found:
        sys.exit("compat-debezium: there is no PostgreSQL; PG_BIN names the folder of initdb")
    return found[-1].parent


class World:
    """The servers in one directory; those that run there already are used again."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.bin = newest_postgres()
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self.pg = self.directory / "pg"
        self.port = None
        self.bootstrap = None

    def start(self):
        """Starts both servers; true when they were made just now."""
        made = not self.pg.exists()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        if made:
            self.pg.mkdir()
            if self.user:
                shutil.chown(self.pg, "postgres")
            run(*self.user, self.bin / "initdb", "-N", "-A", "trust", "-U", "postgres", "--encoding=UTF8",
                "--locale=C.UTF-8", "-D", self.pg / "data")
            settings = {
                "wal_level": "logical", "max_replication_slots": 50, "max_wal_senders": 50, "listen_addresses": "127.0.0.1",
                "port": free_port(), "fsync": "off", "unix_socket_directories": self.pg, "timezone": "UTC",
                "autovacuum": "off", "max_locks_per_transaction": 1024}
            (self.pg / "data/postgresql.auto.conf").write_text(
                "".join("%s = '%s'\n" % pair for pair in settings.items()))
        if not (self.pg / "data/postmaster.pid").exists():
            run(*self.user, self.bin / "pg_ctl", "-D", self.pg / "data", "-l", self.pg / "log", "-w", "start")
        self.port = int(re.search(r"port = '(\d+)'", (self.pg / "data/postgresql.auto.conf").read_text())[1])
        extra = self.directory / "kafka.properties"
        extra.write_text("num.partitions=%d\nauto.create.topics.enable=true\n" % PARTITIONS)
        address = self.directory / "kafka.address"
        if not address.exists():
            output = run("sh", KAFKA, "start", self.directory / "kafka", env={**os.environ, "KAFKA_EXTRA": str(extra)})
            address.write_text(output.split()[0])
        self.bootstrap = address.read_text()
        return made

    def session(self, **settings):
        return pgclient.Session(str(self.pg), self.port, "postgres", **settings)

    @contextlib.contextmanager
    def debezium(self, name, *properties):
        """A Debezium that reads the slot `name`."""
        environment = {**os.environ, "PGPORT": str(self.port), "BOOTSTRAP": self.bootstrap, "SLOT": name,
                       "PUBLICATION": "everything", "PREFIX": "dbz", "KAFKA_KIT": str(KAFKA.parent)}
        place = self.directory / name
        run("sh", DEBEZIUM, "start", place, "default", *properties, env=environment)
        try:
            yield place
        finally:
            run("sh", DEBEZIUM, "stop", place, check=False)

    def records(self, prefix):
        """All records of the topics that begin so: by (topic, partition) a list of (key, value, headers)."""
        output = subprocess.run(
            ["kcat", "-b", self.bootstrap, "-q", "-e", "-X", "auto.offset.reset=earliest", "-X", "fetch.wait.max.ms=10",
             "-X", "topic.metadata.refresh.interval.ms=1000", "-X", "client.id=c", "-f", "%t %p %o %K %S\n%k%s%h\n",
             "-G", "g%d" % time.time_ns(), "^" + re.escape(prefix)],
            capture_output=True, timeout=300)
        bytes, at, found = output.stdout, 0, {}
        while at < len(bytes):
            end = bytes.index(b"\n", at)
            topic, partition, offset, key, value = bytes[at:end].decode().split(" ")
            at = end + 1
            parts = []
            for size in (int(key), int(value)):
                parts.append(None if size < 0 else bytes[at:at + size])
                at += max(size, 0)
            end = bytes.index(b"\n", at)
            headers = bytes[at:end].decode()
            at = end + 1
            found.setdefault((topic, int(partition)), []).append((int(offset), parts[0], parts[1], headers))
        return {place: [record[1:] for record in sorted(records, key=lambda r: r[0])] for place, records in found.items()}

    def stop(self):
        run("sh", KAFKA, "stop", self.directory / "kafka", check=False)
        run(*self.user, self.bin / "pg_ctl", "-D", self.pg / "data", "-m", "immediate", "stop", check=False)
