"""One digest for a model folder: SHA-256 over the sorted "sha256  path" lines of its files."""

import hashlib
import sys
from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")
DIGEST_FILE = "DIGEST"
NOT_THE_MODEL = {DIGEST_FILE, "README.md", "contact-sheet.webp", "controls.webp"}


def folder_digest(folder: Path) -> str:
    """Hex digest; the model card, its sheets and the digest itself do not count."""
    files = sorted(
        p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder).as_posix() not in NOT_THE_MODEL
    )
    lines = [f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_intact(folder: Path = WEIGHTS) -> bool:
    """Whether the files are those that were exported."""
    return (folder / DIGEST_FILE).read_text("ascii").strip() == folder_digest(folder)


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else WEIGHTS
    print(folder_digest(chosen), "intact" if is_intact(chosen) else "changed")
