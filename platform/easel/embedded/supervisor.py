"""Starts services in order, waits until they really answer, starts crashed ones again, stops all in reverse order.

One thread does all of it, in short turns; the other threads only say what they want.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from easel.embedded.child import Child, State
from easel.embedded.leash import Leash
from easel.embedded.service import Service
from easel.embedded.trouble import Trouble
from easel.embedded.var import Var

TURN_SECONDS = 0.05
REMIND_SECONDS = 5.0
FIRST_TRIES = 3  # a service that never came up is given up after so many; one that ran is never given up

Report = Callable[[str, str], None]


class Supervisor:
    def __init__(self, services: Iterable[Service], var: Var, report: Report) -> None:
        self._var = var
        self._report = report
        self._leash = Leash(var)
        self._children = {service.name: Child(service, var, self._leash) for service in services}
        self._hopeless: dict[str, str] = {}
        self._reminded: dict[str, float] = {}
        self._broken: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    # --- What others may ask for -----------------------------------------------------------------------

    def start(self, names: Iterable[str], extra: Mapping[str, str] | None = None) -> None:
        """Returns at once; `wait` tells when they are ready."""
        for name in names:
            child = self._children[name]
            self._hopeless.pop(name, None)
            child.extra = extra or {}
            if not child.wanted:
                child.forgive()
            child.wanted = True

    def wait(self, names: Iterable[str]) -> None:
        for name in names:
            while self._children[name].state is not State.READY:
                if name in self._hopeless:
                    raise Trouble(self._hopeless[name])
                self.check()
                time.sleep(TURN_SECONDS)

    def stop(self, names: Iterable[str]) -> None:
        """Returns when they have ended."""
        names = list(names)
        for name in names:
            self._children[name].wanted = False
        while any(self._children[name].state is not State.DOWN for name in names):
            self.check()
            time.sleep(TURN_SECONDS)

    def close(self) -> None:
        """Stops all and ends the thread. Should that fail, the guardian ends what is left."""
        try:
            self.stop(self._children)
        finally:
            self._over.set()
            self._thread.join()
            self._leash.drop()

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        if self._broken:
            raise RuntimeError("The supervisor itself failed.") from self._broken

    def signal(self, name: str, number: signal.Signals) -> None:
        """To the main process. A SIGKILL returns when the death was noticed: `wait` then waits for the next process."""
        child = self._children[name]
        pid = child.pid
        child.signal(number)
        while number is signal.SIGKILL and pid is not None and child.pid == pid:
            self.check()
            time.sleep(TURN_SECONDS)

    def pid(self, name: str) -> int | None:
        return self._children[name].pid

    def states(self) -> dict[str, str]:
        return {name: child.state.value for name, child in self._children.items()}

    # --- The thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._over.wait(TURN_SECONDS):
                for child in self._children.values():
                    self._attend(child)
        except BaseException as error:  # told to whoever waits: this thread has nobody to raise it to
            self._broken = error
            raise

    def _attend(self, child: Child) -> None:
        code = child.exit_code()
        if code is not None:
            self._ended(child, code)
        elif child.state is State.DOWN:
            if child.wanted and time.monotonic() >= child.due and self._all(child.service.needs, State.READY):
                self._start(child)
        elif not child.wanted and child.state is not State.STOPPING:
            if self._all(self._stopping_dependents(child), State.DOWN):
                child.ask_to_stop()
        elif child.state is State.STARTING:
            self._probe(child)
        elif child.overdue():
            self._report(child.service.name, "does not stop by itself; killed")
            child.kill()

    def _start(self, child: Child) -> None:
        name = child.service.name
        self._report(name, "starting")
        self._reminded[name] = time.monotonic()
        try:
            child.start()
        except Trouble as trouble:
            self._failed(child, str(trouble))
        except OSError as error:
            self._failed(child, f"{name} cannot be started: {error}.")

    def _probe(self, child: Child) -> None:
        name = child.service.name
        waited = time.monotonic() - child.since
        if child.found_ready():
            self._report(name, f"ready after {waited:.1f} s")
        elif child.late():
            self._report(name, f"did not answer within {child.service.ready_seconds:.0f} s; killed")
            child.kill()
        elif time.monotonic() - self._reminded[name] >= REMIND_SECONDS:
            self._reminded[name] = time.monotonic()
            self._report(name, f"still starting, {waited:.0f} s (log: {self._shown_log(child)})")

    def _ended(self, child: Child, code: int) -> None:
        expected = child.state is State.STOPPING or not child.wanted
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if expected:
            self._report(child.service.name, "stopped")
            child.bury()
        else:
            self._failed(child, f"{child.service.name} {how} (log: {self._shown_log(child)}).")

    def _failed(self, child: Child, what: str) -> None:
        pause = child.count_failure()
        child.bury()
        if not child.was_ready and child.failures >= FIRST_TRIES:
            child.wanted = False
            self._hopeless[child.service.name] = what
            return
        self._report(child.service.name, f"{what} Starting it again in {pause:g} s")

    def _all(self, names: Iterable[str], state: State) -> bool:
        return all(self._children[name].state is state for name in names if name in self._children)

    def _stopping_dependents(self, child: Child) -> list[str]:
        """Those that shall end before it. One that stays does without it for a while, as after a crash."""
        others = self._children.items()
        return [name for name, other in others if child.service.name in other.service.needs and not other.wanted]

    def _shown_log(self, child: Child) -> str:
        return self._var.shown(self._var.log(child.service.name))
