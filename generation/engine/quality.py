"""How good an image is by now, cheaply enough to ask at every step; and when that is good enough to stop."""

from typing import Final, Protocol

from torch import Tensor

from generation.engine.sampling import Sampling

USUAL_SHARE: Final = 0.5  # of the steps, before which nobody looks unless told otherwise


class Scorer(Protocol):
    """From 0 to 1. `now` and `before` are predicted clean latents (1, c, h, w), one model call apart. A scorer that
    looks at the picture itself (aesthetics, agreement with the prompt) can take this one's place, where what it costs
    is less than the steps it saves."""

    def __call__(self, now: Tensor, before: Tensor) -> float: ...


def settled(now: Tensor, before: Tensor) -> float:
    """How little the last call changed: 1 is nothing, 0.9 a tenth of the image. It says that more steps would draw
    nearly the same; not that the picture is beautiful, nor that it shows what was asked for."""
    change = float((now - before).norm() / now.norm().clamp_min(1e-6))
    return max(0.0, 1 - change) if change == change else change  # noqa: PLR0124  NaN stays what it is


class Watch:
    """Over one image. Without a target it looks at the end only, to say how good the image became."""

    def __init__(self, *, target: float | None, min_steps: int, planned_steps: int, scorer: Scorer = settled) -> None:
        self._target, self._scorer = target, scorer
        self._min_steps = min_steps or max(2, round(planned_steps * USUAL_SHARE))
        self._before: Tensor | None = None
        self.score: float | None = None

    def good_enough(self, sampling: Sampling) -> bool:
        """To be asked after each step: whether the image may be finished here."""
        if not self._looks(sampling):
            return False
        now = sampling.clean()
        if self._before is not None:
            score = self._scorer(now, self._before)
            self.score = score if score == score else None  # noqa: PLR0124  a picture of NaN has none
        self._before = now
        if self._target is None or self.score is None or sampling.steps_done < self._min_steps:
            return False
        return self.score >= self._target

    def _looks(self, sampling: Sampling) -> bool:
        """One call before it could matter, to have something to compare with."""
        near_end = sampling.calls - sampling.done <= 1
        return near_end or (self._target is not None and sampling.steps_done >= self._min_steps - 1)
