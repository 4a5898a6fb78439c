"""The one folder that holds everything a run makes: data, secrets, logs, process ids."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from easel.embedded.trouble import Trouble, explain

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("config", "data", "log", "run")
LEAST_FREE = 1_000_000_000  # bytes; below this Postgres and SeaweedFS get into trouble in the middle of work


@dataclass(frozen=True)
class Var:
    root: Path

    @classmethod
    def of_environment(cls) -> "Var":
        return cls(Path(os.environ.get("EASEL_VAR") or ROOT / "var").expanduser().resolve())

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def lock(self) -> Path:
        return self.run / "lock"

    @property
    def demo(self) -> Path:
        return self.root / "demo.json"

    @property
    def first_picture(self) -> Path:
        return self.root / "first.png"

    def data(self, name: str) -> Path:
        return self.root / "data" / name

    def log(self, name: str) -> Path:
        return self.root / "log" / f"{name}.log"

    def shown(self, path: Path) -> str:
        """A path as a person at the project's folder would type it."""
        return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

    def exists(self) -> bool:
        """Whether Easel ran here: other programs have a folder `config`, too."""
        return (self.config / "credentials.json").is_file()

    def is_foreign(self) -> bool:
        """Whether it holds anything that is not ours. A first start that was interrupted leaves our folders, and none
        of them has settings before the credentials are there."""
        if not self.root.is_dir() or self.exists():
            return False
        others = [each for each in self.root.iterdir() if each.name not in FOLDERS]
        settings = list(self.config.iterdir()) if self.config.is_dir() else []
        return bool(others) or any(not each.name.startswith(".credentials") for each in settings)

    def make(self) -> None:
        """Creates the folders, for this user's eyes only, or says in one line why that is impossible."""
        try:
            if self.is_foreign():
                raise Trouble(
                    f"EASEL_VAR={self.root} holds files that are not Easel's.",
                    "Name a new or an empty folder.",
                )
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
            for name in FOLDERS:
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
            (self.run / "writable").touch()
            (self.run / "writable").unlink()
        except OSError as error:
            raise explain(error) from error

    def check_space(self, least: int = LEAST_FREE) -> None:
        free = shutil.disk_usage(self.root).free
        if free < least:
            needed = f"{least // 1_000_000} MB needed"
            raise Trouble(
                f"The disk is nearly full: {free // 1_000_000} MB free, {needed} ({self.root}).",
                "Free some space, or put the data elsewhere: EASEL_VAR=/another/folder make up",
            )
