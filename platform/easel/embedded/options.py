"""What a person may choose for `make up`, from the environment."""

import os
from dataclasses import dataclass

from easel.embedded.ports import require_free
from easel.embedded.trouble import Trouble


@dataclass(frozen=True)
class Options:
    port: int
    host: str
    detach: bool

    @classmethod
    def of_environment(cls) -> "Options":
        port = os.environ.get("PORT") or "8000"
        if not port.isdecimal() or not 1 <= int(port) <= 65534:
            raise Trouble(f"PORT={port} is not a port.", "Choose a number from 1 to 65534: PORT=8000 make up")
        return cls(
            port=int(port),
            host=os.environ.get("BIND") or "127.0.0.1",
            detach=os.environ.get("DETACH", "").lower() in {"1", "true", "yes", "on"},
        )

    def require_ports(self) -> None:
        """The customers' and the staff's: they are typed by people, so they are never moved silently."""
        require_free(self.port, self.host)
        require_free(self.port + 1, "127.0.0.1")
