"""A call whose answer is the finished work: it is held until there is an ending, and has no other answer to give.

`Prefer: wait` can be answered early with how things stand. The clients of other APIs know no such answer: where no
ending came, they get an error, and what nobody will fetch is abandoned.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from easel.continuation import Outcome, Visit, Waiting, unless_gone
from easel.problems import Problem


@dataclass(frozen=True, kw_only=True)
class Insisting(Waiting):
    """`abandon` runs in a thread when nobody will be told of the ending: the client hung up, or is sent away."""

    abandon: Callable[[], object]

    async def __call__(self, visit: Visit) -> None:
        outcome = await unless_gone(visit, self._until_an_end(visit))
        if outcome is not None and outcome.better is not None:
            await visit.better(outcome.better)
            return
        if outcome is not None:
            await visit.problem(self._refusal(outcome.reason), self.path)
        await visit.in_thread(self.abandon)

    async def _until_an_end(self, visit: Visit) -> Outcome:
        """A subscription that broke is begun anew as long as there is time."""
        deadline = time.monotonic() + self.seconds
        while True:
            left = max(0, int(deadline - time.monotonic()))
            outcome = await replace(self, seconds=left).outcome(visit)
            if outcome.reason != "broken" or outcome.better is not None or left == 0:
                return outcome

    def _refusal(self, reason: str) -> Problem:
        match reason:
            case "many":
                said = "Too many calls of this account wait for their pictures here. Let some of them end."
                return Problem("rate_limited", said, headers={"Retry-After": "5"})
            case "revoked":
                return Problem("key_revoked", "The API key was revoked meanwhile.")
            case "stopping":
                return Problem("overloaded", "The server is restarting; try again.")
        return Problem("overloaded", f"It did not end within {self.seconds} s.")
