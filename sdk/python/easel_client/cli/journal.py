"""What a batch has asked for and what came of it: lines of JSON beside the pictures, each on disk before the next step.

An item's idempotency key is kept before it is asked for. So a batch that was cut off anywhere asks with the same key
again, and gets the same generation (for 24 hours, as long as Easel remembers keys).
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from typing_extensions import Self

NAME = "easel-batch.jsonl"
LOCK = ".easel-batch.lock"  # beside the journal: on SMB a file that is locked can be neither read nor written
_NOT_OPTIONS = {"self", "idempotency_key"}  # what a client's call takes beside them


@dataclass(frozen=True)
class Item:
    number: int  # its line in the file
    prompt: str
    options: Mapping[str, Any]
    digest: str  # of what is asked for, and the how-manieth of its equals: lines may move


def items_of(text: str, options: Mapping[str, Any]) -> list[Item]:
    """A line is a prompt, or a JSON object with `prompt` and options of its own. Empty lines and # are passed over.
    Raises ValueError with the line's number."""
    items: list[Item] = []
    equals: Counter[str] = Counter()
    for number, line in enumerate(text.split("\n"), start=1):  # prompts may hold what else ends lines in Unicode
        line = line.strip()  # noqa: PLW2901
        if not line or line.startswith("#"):
            continue
        asked = {**options, **_asked(line, number)}
        prompt = asked.pop("prompt")
        canonical = json.dumps([prompt, asked], sort_keys=True, default=str)
        equals[canonical] += 1
        digest = hashlib.sha256(f"{canonical} {equals[canonical]}".encode()).hexdigest()
        items.append(Item(number, prompt, asked, digest))
    return items


class Journal:
    """Raises ValueError where the folder's journal is damaged, OSError where another run has it open; a last line that
    was cut off is nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / NAME
        self._held = _held(folder / LOCK)
        self._keys: dict[str, str] = {}
        self._files: dict[str, list[str]] = {}
        self._owners: dict[str, str] = {}  # of each file the item
        self._torn = False
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Another run may come."""
        if self._held is not None:
            self._held.close()

    def is_done(self, item: Item) -> bool:
        """Whether its pictures are all still there."""
        files = self._files.get(item.digest)
        return files is not None and all((self.folder / name).is_file() for name in files)

    def begin(self, item: Item) -> str:
        """The key to ask with: the one of the run before that did not come to an end, or a new one."""
        key = self._keys.get(item.digest)
        if key is None:
            key = self._keys[item.digest] = f"batch-{uuid.uuid4().hex}"
            self._append({"item": item.digest, "key": key, "prompt": item.prompt})
        return key

    def may_use(self, item: Item, files: list[str]) -> bool:
        """Whether none of these is another item's, or somebody's own."""
        return all(
            self._owners.get(name, item.digest) == item.digest
            and (name in self._owners or not (self.folder / name).exists())
            for name in files
        )

    def keep(self, item: Item, generation_id: str, files: list[str]) -> None:
        """What it came to, and the names of its pictures: on disk before they are, so that a run that was cut off knows
        its own."""
        self._note_files(item.digest, files)
        self._append({"item": item.digest, "id": generation_id, "files": files})

    def gave_up(self, item: Item) -> None:
        """It came to nothing: the next attempt is another request."""
        self._keys.pop(item.digest, None)
        self._append({"item": item.digest, "gave_up": True})

    def _append(self, entry: Mapping[str, Any]) -> None:
        if self._torn:
            raise OSError(f"{self._path} could not be written before.")
        self._torn = True  # until it is whole: nothing may come after half a line
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._torn = False

    def _read(self) -> None:
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        *lines, cut = content.split(b"\n")  # as bytes: a line may have been cut within a character
        if cut:
            os.truncate(self._path, len(content) - len(cut))
        for number, line in enumerate(lines, start=1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{self._path}, line {number}, is damaged. Move the file away to begin anew."
                ) from error

    def _take(self, entry: Mapping[str, Any]) -> None:
        digest = entry["item"]
        if "key" in entry:
            self._keys[digest] = entry["key"]
        elif "files" in entry:
            self._note_files(digest, entry["files"])
        elif "gave_up" in entry:
            self._keys.pop(digest, None)

    def _note_files(self, digest: str, files: list[str]) -> None:
        self._files[digest] = files
        self._owners.update(dict.fromkeys(files, digest))


def _held(path: Path) -> BinaryIO | None:
    """As long as it is open, no other run opens it: both would ask for the same. It ends with the process, however that
    ends. None on systems, and file systems, that have no such locks."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        file = path.open("ab")
    except OSError:  # a folder that can only be read: nothing is asked for in it
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise OSError(f"Another batch is at work in {path.parent}. Wait for it, or name another folder.") from error
    except OSError:
        file.close()
        return None
    return file


def _asked(line: str, number: int) -> dict[str, Any]:
    if not line.startswith("{"):
        return {"prompt": line}
    try:
        asked = json.loads(line)
    except ValueError as error:
        raise ValueError(f"Line {number} is neither a prompt nor JSON.") from error
    if type(asked.get("prompt")) is not str:
        raise ValueError(f"Line {number} has no prompt.")
    for name in _NOT_OPTIONS & asked.keys():
        raise ValueError(f"Line {number}: {name} is no option. Each item has an idempotency key of its own.")
    return dict(asked)
