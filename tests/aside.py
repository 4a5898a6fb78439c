"""Transactions that are open at once, each moved on step by step: what happens between two of them can be played."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import Any

from django.db import connections

from easel.database import atomic, platform_role, rows


class Ended(Exception):
    """What was done failed, and the transaction with it."""


class Aside:
    """A transaction of its own, in which things are done one by one until it is committed."""

    def __init__(self) -> None:
        self._asked: Queue[Callable[[], Any] | None] = Queue()
        self._answered: Queue[Any] = Queue()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def begin(self, act: Callable[[], Any]) -> None:
        self._asked.put(act)

    def answer(self) -> Any:
        found = self._answered.get(timeout=30)
        if isinstance(found, Exception):
            raise found
        return found

    def do(self, act: Callable[[], Any]) -> Any:
        self.begin(act)
        return self.answer()

    def commit(self) -> None:
        self._asked.put(None)
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        try:
            with platform_role(), atomic():
                while (act := self._asked.get()) is not None:
                    try:
                        self._answered.put(act())
                    except Exception as error:
                        self._answered.put(error)
                        raise Ended from error
        except Ended:
            pass  # `answer` raises what ended it
        finally:
            connections.close_all()


@contextmanager
def aside() -> Iterator[Aside]:
    one = Aside()
    try:
        yield one
    finally:
        one.commit()


def name(one: Aside, word: str) -> None:
    """What `wait_for_its_lock` knows its transaction by."""
    one.do(lambda: rows("SELECT set_config('application_name', %s, true)", [word]))


def wait_for_its_lock(word: str) -> None:
    """Until the transaction of this name waits for a lock of another's."""
    asked = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
    until = time.monotonic() + 10
    with platform_role():
        while not rows(asked, [word]):
            assert time.monotonic() < until, f"{word} waits for nothing"
            time.sleep(0.02)
