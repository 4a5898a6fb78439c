"""A prediction's stream, in the events that Replicate's clients know: `output`, `logs`, `error`, `done`."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from easel import problems
from easel.continuation import EventStream, Visit
from easel.feed import News
from generation.compat.replicate.telling import progress_line

IN_REVIEW: Final = "The pictures wait for a decision of the platform's staff."
_numbers: Final = count()


@dataclass(frozen=True, kw_only=True)
class PredictionStream(EventStream):
    """`prediction` tells how it stands, in a thread."""

    prediction: Callable[[], dict[str, Any]]

    async def frames(self, visit: Visit, news: News) -> list[bytes]:
        if news.kind == "progress":
            return [_frame("logs", progress_line(float(news.data["progress"])).rstrip("\n"))]
        if news.kind == self.ends:
            return await visit.in_thread(self._ending)  # type: ignore[no-any-return]
        return []

    def farewell(self, reason: str) -> bytes:
        return _frame("error", f"The stream ended before the prediction did ({reason}).") + _done("error")

    def _ending(self) -> list[bytes]:
        try:
            told = self.prediction()
        except Exception as error:  # noqa: BLE001  the stream has begun: an error is its last event
            return [_frame("error", str(problems.tell(error, self.path).body["detail"])), _done("error")]
        outputs = [_frame("output", url) for url in told["output"] or []]
        match told["status"]:
            case "failed":
                return [*outputs, _frame("error", told["error"]), _done("error")]
            case "canceled":
                return [*outputs, _done("canceled")]
            case "processing":  # though its generation is done with: staff decide what of it may be seen
                return [*outputs, _frame("error", IN_REVIEW), _done("error")]
        return [*outputs, _done("")]


def _done(reason: str) -> bytes:
    return _frame("done", json.dumps({"reason": reason} if reason else {}))


def _frame(kind: str, text: str) -> bytes:
    """Every event has an id: their client drops those without."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {kind}\nid: {int(time.time())}:{next(_numbers)}\n{lines}\n".encode()
