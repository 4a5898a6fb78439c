"""What was answered lately, by digest of the question. The question itself is not kept."""

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Memory(Generic[Answer]):
    """The `size` answers used last. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> Answer | None:
        with self._lock:
            answer = self._answers.get(key)
            if answer is not None:
                self._answers.move_to_end(key)
            return answer

    def put(self, key: bytes, answer: Answer) -> None:
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._answers.clear()
