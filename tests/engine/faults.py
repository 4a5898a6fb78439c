"""Looking into model calls, and spoiling them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint


@dataclass(frozen=True)
class ModelCall:
    latents: Tensor  # (b, c, h, w)
    hidden: Tensor  # (b, tokens, width)

    def rows_with(self, hidden: Tensor) -> list[int]:
        """Which rows have this prompt."""
        return [row for row, theirs in enumerate(self.hidden) if theirs.equal(hidden)]


@contextmanager
def model_calls(
    engine: LoopEngine,
    checkpoint: Checkpoint,
    *,
    before: Callable[[ModelCall], None] = lambda call: None,
    after: Callable[[ModelCall, Tensor], None] = lambda call, prediction: None,
) -> Iterator[None]:
    """`before` may raise, `after` may change the prediction (b, c, h, w). The model must have been drawn with."""

    def see(module: Any, inputs: tuple[Any, ...], more: dict[str, Any]) -> None:
        before(ModelCall(inputs[0], more["encoder_hidden_states"]))

    def spoil(module: Any, inputs: tuple[Any, ...], more: dict[str, Any], output: tuple[Tensor]) -> None:
        after(ModelCall(inputs[0], more["encoder_hidden_states"]), output[0])

    unet = pipeline_of(engine, checkpoint).unet
    hooks = [
        unet.register_forward_pre_hook(see, with_kwargs=True),
        unet.register_forward_hook(spoil, with_kwargs=True),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def pipeline_of(engine: LoopEngine, checkpoint: Checkpoint) -> Any:
    return engine._studio.models.model(checkpoint).pipeline


def hidden_of(engine: LoopEngine, checkpoint: Checkpoint, prompt: str) -> Tensor:
    """A prompt as the model reads it, (tokens, width)."""
    hidden: Tensor = pipeline_of(engine, checkpoint).encode_prompt(prompt, "cpu", 1, False)[0][0].detach()
    return hidden
