"""A circuit breaker that all processes share: what keeps failing is left alone, and then asked by one caller at a time.

Closed, it counts failures and slow calls that follow one another. At a limit it opens: calls are refused at once, with
when to come back. When that time has passed, one caller of all processes is let through as a probe. Its success closes
the breaker, also where it took so long that another was sent meanwhile; its failure opens it for twice as long, if no
other was. Results of calls that began before the opening change nothing.

The state lives in Valkey (`breaker_state`). Without Valkey each process counts for itself, and says so in a metric.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast
from uuid import uuid4

import structlog

from easel import metrics
from easel.breaker_state import STANDING, LocalState, LocalStates, Rules, SharedState, State, Verdict, look_at
from easel.clock import duty
from easel.valkey import CacheAway, Patience, client

Answer = TypeVar("Answer")

__all__ = ["Breaker", "BreakerOpen", "Permit", "Rules", "Standing", "State", "open_here", "standing"]

log = structlog.get_logger(__name__)
_patience = Patience()
_labels: set[str] = set()
_here = LocalStates(most=4096)  # breakers are made anew for each call, what they counted is kept


class BreakerOpen(Exception):
    """Not called: it has failed too often. `retry_after` is in whole seconds, at least 1."""

    def __init__(self, name: str, retry_after: int) -> None:
        super().__init__(f"{name} is left alone for {retry_after} s, after too many failures.")
        self.name, self.retry_after = name, retry_after


@dataclass(frozen=True, slots=True)
class Permit:
    """That a call may be made. `token` names it when its result is reported, maybe by another process."""

    token: str
    probe: bool


class Breaker:
    """`name` is one thing that can fail, such as `webhook:<endpoint id>`. Metrics have its `label`, by default what is
    before the colon: labels are few, names need not be.

    `counts` says which exceptions mean that the thing itself is ill; by default all of them do. One that is not
    `listed` is not in `standing`: for names that customers make up, of which there may be any number.
    """

    def __init__(
        self,
        name: str,
        *,
        label: str = "",
        rules: Rules = Rules(),  # noqa: B008  frozen
        counts: Callable[[Exception], bool] = lambda error: True,
        listed: bool = True,
    ) -> None:
        self.name, self.label = name, label or name.partition(":")[0]
        self._rules, self._counts = rules, counts
        self._shared = SharedState(name, self.label, rules, listed=listed)
        self._local = _here.of(name, rules)

    @contextmanager
    def guard(self) -> Iterator[Permit]:
        """Around one call. Raises BreakerOpen instead of making it, and lets the call's own exceptions through."""
        permit = self.admit()
        started = time.monotonic()
        try:
            yield permit
        except Exception as error:
            self.report(permit.token, ok=not self._counts(error), seconds=time.monotonic() - started)
            raise
        except BaseException:  # the caller is being ended; what it called is not to blame
            self.report(permit.token, ok=True, seconds=0.0)
            raise
        self.report(permit.token, ok=True, seconds=time.monotonic() - started)

    def admit(self, token: str = "") -> Permit:
        """Leave for one call, whose result must be reported under the permit's token. Raises BreakerOpen.

        A token of the caller's own lets another process report it. Asked again with the token of the probe that is
        out, it is let through again.
        """
        token = token or uuid4().hex
        admission = self._ask(lambda state: state.admit(token))
        if not admission.granted:
            metrics.BREAKER_CALLS.labels(self.label, "refused").inc()
            raise BreakerOpen(self.name, max(1, math.ceil(admission.wait)))
        if admission.probe:
            metrics.BREAKER_PROBES.labels(self.label).inc()
            log.info("breaker.probe", breaker=self.name)
        return Permit(token, admission.probe)

    def report(self, token: str, *, ok: bool, seconds: float = 0.0) -> None:
        """How a call ended that was let through, and how long it took."""
        slow = ok and seconds >= self._rules.slow_seconds
        metrics.BREAKER_CALLS.labels(self.label, "slow" if slow else "ok" if ok else "failed").inc()
        verdict = Verdict.SLOW if slow else Verdict.OK if ok else Verdict.FAILED
        turned = self._ask(lambda state: state.report(token, verdict))
        if turned:
            metrics.BREAKER_TURNS.labels(self.label, turned).inc()
            log.warning("breaker.turned", breaker=self.name, to=turned, last=verdict.value)

    def withdraw(self, token: str) -> None:
        """The call was not made after all: if it was the probe, another may go out."""
        self._ask(lambda state: state.withdraw(token))

    def state(self) -> State:
        """A look that takes no probe."""
        return self._ask(lambda state: state.look())

    def reset(self) -> None:
        """Close it, whatever was counted: for staff who know better, and for tests."""
        self._local.reset()
        self._ask(lambda state: state.reset())

    def _ask(self, question: Callable[[SharedState | LocalState], Answer]) -> Answer:
        try:
            return cast(Answer, _patience.call(question, self._shared))
        except CacheAway as error:
            metrics.BREAKER_UNSHARED.labels(self.label).inc()
            log.debug("breaker.unshared", breaker=self.name, error=str(error))
            return question(self._local)


@dataclass(frozen=True, slots=True)
class Standing:
    """One breaker that is not closed."""

    name: str
    label: str
    state: State


def standing(prefix: str = "") -> list[Standing]:
    """Every listed breaker that is open, of all processes, whose name begins so. Asks the cache twice, however many
    there are. Raises CacheAway."""
    listed = _patience.call(client().hgetall, STANDING)
    named = sorted((bytes(name).decode(), bytes(label).decode()) for name, label in listed.items())
    named = [(name, label) for name, label in named if name.startswith(prefix)]
    if not named:
        return []
    states = _patience.call(look_at, [name for name, _ in named])
    known = [Standing(name, label, state) for (name, label), state in zip(named, states, strict=True)]
    gone = [each.name for each in known if not each.state.open]
    if gone:  # the cache dropped their state when it needed the room
        _patience.call(client().hdel, STANDING, *gone)
    return [each for each in known if each.state.open]


def open_here() -> dict[str, State]:
    """The breakers, by name, that this process has opened for itself alone: for while the cache is away."""
    return _here.open()


@duty("count_open_breakers", every=5.0)
def count_open_breakers() -> int:
    """The gauge is a view of Valkey's state: without it the last one stays."""
    try:
        labels = {each.label for each in standing()}
    except CacheAway as error:
        log.warning("breaker.uncounted", error=str(error))
        return 0
    _labels.update(labels)
    for label in _labels:
        metrics.BREAKER_OPEN.labels(label).set(label in labels)
    return 0
