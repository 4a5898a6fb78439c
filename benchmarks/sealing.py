"""What encryption costs: a 1 MB picture sealed in chunks against `cryptography` alone, and the prompts of a request."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.test import override_settings

from benchmarks.table import Table, milliseconds
from easel.crypto import DataKey
from easel.embedded.stack import Stack
from easel.identifiers import new_id
from easel.sealed_file import SealedFile
from generation.prompts import open_prompts, seal_prompts

MEGABYTE: Final = 1_000_000
ROUNDS: Final = 60
NAMES: Final = ("sm4-gcm", "aes-256-gcm")


def measure(stack: Stack) -> Table:
    return Table(
        "Sealing",
        f"A picture of 1 MB, sealed in chunks of 64 KiB, against one call of `cryptography` with the same cipher, turn "
        f"by turn, CPU time, median of {ROUNDS}. Opening verifies every chunk. A request's share is its two prompts "
        "(500 and 50 characters) sealed once and opened once. The limit we set ourselves for SM4-GCM is 80 %.",
        ["cipher", "bare", "sealed", "speed of bare", "opened", "prompts of a request"],
        [_row(name) for name in NAMES],
    )


def _row(name: str) -> list[str]:
    with override_settings(SEALING=name):
        data = os.urandom(MEGABYTE)
        key, row = DataKey(os.urandom(32)), new_id()
        prompt, negative = "a lighthouse " * 38, "blurry, dark " * 4

        def bare() -> None:
            cipher = algorithms.SM4(bytes(16)) if name == "sm4-gcm" else algorithms.AES(bytes(32))
            encryptor = Cipher(cipher, modes.GCM(os.urandom(12))).encryptor()
            encryptor.update(data)
            encryptor.finalize()

        def whole() -> None:
            SealedFile.new(MEGABYTE).seal(data)

        def opened() -> None:
            assert used.open(stored) == data

        def request() -> None:
            open_prompts(*seal_prompts(prompt, negative, key=key, generation_id=row), key=key, generation_id=row)

        used = SealedFile.new(MEGABYTE)
        stored = used.seal(data)
        times = _turn_by_turn(bare, whole, opened, request)
    return [
        name.upper(), *(milliseconds(each) for each in times[:2]), f"{times[0] / times[1]:.0%}",
        milliseconds(times[2]), f"{times[3] * 1e6:.0f} µs",
    ]  # fmt: skip


def _turn_by_turn(*acts: Callable[[], None]) -> list[float]:
    times: list[list[float]] = [[] for _ in acts]
    for _ in range(ROUNDS):
        for act, taken in zip(acts, times, strict=True):
            started = time.process_time()
            act()
            taken.append(time.process_time() - started)
    return [statistics.median(taken) for taken in times]
