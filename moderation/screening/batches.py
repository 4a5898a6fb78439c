"""One thread owns a model and answers whatever has gathered meanwhile in one call. The queue before it is bounded."""

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class TooMuchWaiting(Exception):
    """The model is further behind than is worth waiting for."""


class Batches(Generic[Item, Result]):
    """`work` takes up to `largest` items and returns as many results, in order."""

    def __init__(
        self, name: str, work: Callable[[Sequence[Item]], Sequence[Result]], *, largest: int, waiting: int = 256
    ) -> None:
        self._work, self._largest = work, largest
        self._queue: queue.Queue[tuple[Item, Future[Result]]] = queue.Queue(waiting)
        Thread(target=self._run, name=f"batches-{name}", daemon=True).start()

    def ask(self, item: Item) -> "Future[Result]":
        future: Future[Result] = Future()
        try:
            self._queue.put_nowait((item, future))
        except queue.Full as error:
            raise TooMuchWaiting(f"{self._queue.maxsize} are waiting already.") from error
        return future

    def depth(self) -> int:
        return self._queue.qsize()

    def _run(self) -> None:
        while True:
            taken = [self._queue.get()]
            while len(taken) < self._largest and not self._queue.empty():
                taken.append(self._queue.get())
            self._answer([pair for pair in taken if pair[1].set_running_or_notify_cancel()])

    def _answer(self, taken: "list[tuple[Item, Future[Result]]]") -> None:
        try:
            results = self._work([item for item, _ in taken])
        except Exception as error:  # noqa: BLE001  it belongs to those who asked; the thread serves the next
            for _, future in taken:
                future.set_exception(error)
            return
        for (_, future), result in zip(taken, results, strict=True):
            future.set_result(result)
