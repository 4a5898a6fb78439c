"""Where a breaker's state is kept and how it turns: in Valkey for all processes, or in memory for one alone.

Both follow the same rules. In Valkey each question is one script, so that of any number of processes exactly one gets
the probe; times are the server's, so that processes' clocks need not agree.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from threading import Lock
from typing import Any, Final

from easel.valkey import client

KEY: Final = "easel:breaker:{name}"
STANDING: Final = "easel:breakers"  # name → label of those that are not closed and listed
FORGET_SECONDS: Final = 86_400  # counts that nobody added to for so long are dropped
PROBES: Final = 64  # that are remembered of one opening


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a breaker opens and for how long. `failures` and `slow_calls` are those that follow one another."""

    failures: int = 5
    slow_calls: int = 10
    slow_seconds: float = float("inf")
    open_seconds: float = 10.0  # doubled after each probe that failed
    longest_open_seconds: float = 300.0
    probe_seconds: float = 60.0  # a probe that is not reported for so long is waited for no more: the next one goes out


class Verdict(Enum):
    OK = "ok"
    SLOW = "slow"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Admission:
    granted: bool
    probe: bool = False
    wait: float = 0.0  # seconds, where it was not granted


@dataclass(frozen=True, slots=True)
class State:
    """`wait` is how many seconds until a probe may go out: 0 where it may now. `probe` is the token of the one that is
    out."""

    open: bool
    wait: float = 0.0
    probe: str = ""

    @property
    def due(self) -> bool:
        return self.open and self.wait <= 0


_NOW: Final = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000); "
_READ: Final = (
    "local s = redis.call('HMGET', KEYS[1], 'until', 'probe', 'probe_until'); "
    "local until_ = tonumber(s[1]); local probing = tonumber(s[3]); "
)

# → {granted, probe, milliseconds to wait}
_ADMIT: Final = f"""{_NOW}{_READ}
if not until_ then return {{1, 0, 0}} end
if now < until_ then return {{0, 0, until_ - now}} end
if probing and now < probing then
    if s[2] == ARGV[1] then return {{1, 0, 0}} end
    return {{0, 0, probing - now}}
end
local probes = cjson.decode(redis.call('HGET', KEYS[1], 'probes') or '[]')
table.insert(probes, ARGV[1])
if #probes > tonumber(ARGV[3]) then table.remove(probes, 1) end
redis.call(
    'HSET', KEYS[1], 'probe', ARGV[1], 'probe_until', now + ARGV[2], 'probes', cjson.encode(probes)
)
return {{1, 1, 0}}
"""

# → what it turned to, or ''. ARGV: token, verdict, failures, slow calls, open ms, longest ms, forget s, name, label,
# listed
_REPORT: Final = f"""{_NOW}{_READ}
local times = tonumber(redis.call('HGET', KEYS[1], 'times') or 0)
local function open()
    local ms = math.min(ARGV[5] * 2 ^ times, tonumber(ARGV[6]))
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'until', now + ms, 'times', times + 1, 'since', now)
    redis.call('EXPIRE', KEYS[1], ARGV[7])
    if ARGV[10] == '1' then redis.call('HSET', KEYS[2], ARGV[8], ARGV[9]) end
end
local function was_probe()
    for _, token in ipairs(cjson.decode(redis.call('HGET', KEYS[1], 'probes') or '[]')) do
        if token == ARGV[1] then return true end
    end
    return s[2] == ARGV[1]
end
if until_ then
    if ARGV[2] == 'ok' and was_probe() then
        redis.call('DEL', KEYS[1])
        redis.call('HDEL', KEYS[2], ARGV[8])
        return 'closed'
    end
    if s[2] ~= ARGV[1] then return '' end
    open()
    return 'open_again'
end
if ARGV[2] == 'ok' then redis.call('DEL', KEYS[1]); return '' end
local counted, other, most = 'failures', 'slow', tonumber(ARGV[3])
if ARGV[2] == 'slow' then counted, other, most = 'slow', 'failures', tonumber(ARGV[4]) end
redis.call('HDEL', KEYS[1], other)
if redis.call('HINCRBY', KEYS[1], counted, 1) >= most then open(); return 'open' end
redis.call('EXPIRE', KEYS[1], ARGV[7])
return ''
"""

# → of each of the keys {is open, milliseconds until a probe may go out, token of the probe that is out}
_LOOK: Final = f"""{_NOW}
local function look(key)
    local s = redis.call('HMGET', key, 'until', 'probe', 'probe_until')
    local until_, probing = tonumber(s[1]), tonumber(s[3])
    if not until_ then return {{0, 0, ''}} end
    if now < until_ then return {{1, until_ - now, ''}} end
    if probing and now < probing then return {{1, probing - now, s[2]}} end
    return {{1, 0, ''}}
end
local seen = {{}}
for i, key in ipairs(KEYS) do seen[i] = look(key) end
return seen
"""

_WITHDRAW: Final = """
if redis.call('HGET', KEYS[1], 'probe') == ARGV[1] then redis.call('HDEL', KEYS[1], 'probe', 'probe_until') end
"""


class SharedState:
    """In Valkey. Every call may raise RedisError or OSError."""

    def __init__(self, name: str, label: str, rules: Rules, *, listed: bool) -> None:
        self._name, self._label, self._rules, self._listed = name, label, rules, listed
        self._keys = [KEY.format(name=name), STANDING]

    def admit(self, token: str) -> Admission:
        probe_ms = int(self._rules.probe_seconds * 1000)
        granted, probe, wait = _script(_ADMIT)(self._keys, [token, probe_ms, PROBES])
        return Admission(bool(granted), bool(probe), wait / 1000)

    def report(self, token: str, verdict: Verdict) -> str:
        """What the breaker turned to by this: open, open_again, closed, or "" where it stayed as it was."""
        rules = self._rules
        times = [int(rules.open_seconds * 1000), int(rules.longest_open_seconds * 1000)]
        given = [
            token,
            verdict.value,
            rules.failures,
            rules.slow_calls,
            *times,
            FORGET_SECONDS,
            self._name,
            self._label,
            int(self._listed),
        ]
        return bytes(_script(_REPORT)(self._keys, given)).decode()

    def withdraw(self, token: str) -> None:
        _script(_WITHDRAW)(self._keys, [token])

    def look(self) -> State:
        (state,) = look_at([self._name])
        return state

    def reset(self) -> None:
        client().delete(self._keys[0])
        client().hdel(STANDING, self._name)


def look_at(names: Sequence[str]) -> list[State]:
    """The states of these breakers in Valkey, by one call. Raises RedisError or OSError."""
    seen = _script(_LOOK)([KEY.format(name=name) for name in names], [])
    return [State(bool(open_), wait / 1000, bytes(probe).decode()) for open_, wait, probe in seen]


class LocalState:
    """The same in this process's memory, for while Valkey is away. Times are the monotonic clock's."""

    def __init__(self, rules: Rules) -> None:
        self._rules, self._lock = rules, Lock()
        self.reset()

    def reset(self) -> None:
        self._failures = self._slow = self._times = 0
        self._until: float | None = None
        self._probe, self._probe_until = "", 0.0
        self._probes = deque[str](maxlen=PROBES)

    def admit(self, token: str) -> Admission:
        with self._lock:
            state = self._look()
            if not state.open or (self._probe == token and time.monotonic() < self._probe_until):
                return Admission(granted=True)
            if not state.due:
                return Admission(granted=False, wait=state.wait)
            self._probe, self._probe_until = token, time.monotonic() + self._rules.probe_seconds
            self._probes.append(token)
            return Admission(granted=True, probe=True)

    def report(self, token: str, verdict: Verdict) -> str:
        with self._lock:
            if self._until is not None:
                return self._probed(token, verdict)
            self._failures = self._failures + 1 if verdict is Verdict.FAILED else 0
            self._slow = self._slow + 1 if verdict is Verdict.SLOW else 0
            if self._failures < self._rules.failures and self._slow < self._rules.slow_calls:
                return ""
            self._open()
            return "open"

    def withdraw(self, token: str) -> None:
        with self._lock:
            if self._probe == token:
                self._probe, self._probe_until = "", 0.0

    def look(self) -> State:
        with self._lock:
            return self._look()

    def _look(self) -> State:
        now = time.monotonic()
        if self._until is None:
            return State(open=False)
        probe = self._probe if now < self._probe_until else ""
        return State(open=True, wait=max(0.0, self._until - now, self._probe_until - now), probe=probe)

    def _probed(self, token: str, verdict: Verdict) -> str:
        if verdict is Verdict.OK and token in self._probes:
            self.reset()
            return "closed"
        if token != self._probe:
            return ""
        self._open()
        return "open_again"

    def _open(self) -> None:
        seconds = min(self._rules.open_seconds * 2**self._times, self._rules.longest_open_seconds)
        times = self._times + 1
        self.reset()
        self._until, self._times = time.monotonic() + seconds, times


class LocalStates:
    """The states that one process keeps, by name and rules: whoever asks for the same gets the same one. Of more than
    `most`, those that were asked for longest ago are forgotten."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._states: OrderedDict[tuple[str, Rules], LocalState] = OrderedDict()

    def of(self, name: str, rules: Rules) -> LocalState:
        with self._lock:
            state = self._states.setdefault((name, rules), LocalState(rules))
            self._states.move_to_end((name, rules))
            if len(self._states) > self._most:
                self._states.popitem(last=False)
            return state

    def open(self) -> dict[str, State]:
        """Those that are not closed, by their names."""
        with self._lock:
            known = list(self._states.items())
        looks = ((name, state.look()) for (name, _), state in known)
        return {name: look for name, look in looks if look.open}


@cache
def _script(text: str) -> Any:
    """Sent by its digest, and in full where the server does not know it."""
    script = client().register_script(text)
    return lambda keys, given: script(keys=keys, args=given)
