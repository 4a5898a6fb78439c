"""Small networks over embeddings, fitted in numpy: as many labels at once as there are, each example with its weight.

One hidden layer, rectified, with dropout; Adam with decoupled weight decay (Loshchilov and Hutter, 2019) and one cycle
of the learning rate. `hidden=0` is a logistic regression for each label. The same seed gives the same network.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Batch = tuple[Floats, Floats, Floats]  # inputs, targets, weights

RATE: Final = 4e-3
BATCH: Final = 256
INPUT_DROPOUT: Final = 0.15
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Shape:
    """What is chosen by cross-validation."""

    hidden: int
    dropout: float
    decay: float
    epochs: int

    def __str__(self) -> str:
        kind = f"{self.hidden} hidden, dropout {self.dropout}" if self.hidden else "logistic"
        return f"{kind}, decay {self.decay}, {self.epochs} epochs"


@dataclass(frozen=True)
class Network:
    """`inner` is [inputs, hidden] with its bias, both empty for a logistic regression; `outer` is [hidden, labels]."""

    inner: Floats
    inner_bias: Floats
    outer: Floats
    outer_bias: Floats

    def __call__(self, inputs: Floats) -> Floats:
        """[n, labels] probabilities."""
        middle = np.maximum(inputs @ self.inner + self.inner_bias, 0) if self.inner.size else inputs
        return sigmoid(middle @ self.outer + self.outer_bias)


def sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float32)


def balanced(targets: Floats, weights: Floats) -> Floats:
    """Both sides of each label weigh the same, and a label's weights are 1 on average."""
    made = weights.astype(np.float64)
    yes, no = made * targets, made * (1 - targets)
    made = yes * (no.sum(axis=0) / np.maximum(1, yes.sum(axis=0))) + no
    return np.asarray(made / made.mean(axis=0), dtype=np.float32)


def fit(inputs: Floats, targets: Floats, weights: Floats, shape: Shape, *, seed: int) -> Network:
    """`weights` as `balanced` gives them. All arrays are [n, …] of float32."""
    chance = np.random.default_rng(seed)
    parameters = _begun(chance, inputs.shape[1], targets.shape[1], shape.hidden)
    moments = [(np.zeros_like(each), np.zeros_like(each)) for each in parameters]
    steps = shape.epochs * -(-len(inputs) // BATCH)
    step = 0
    for _ in range(shape.epochs):
        order = chance.permutation(len(inputs))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            step += 1
            gradients = _gradients(parameters, (inputs[rows], targets[rows], weights[rows]), shape, chance)
            _move(parameters, gradients, moments, step=step, rate=_rate(step / steps), decay=shape.decay)
    inner, inner_bias, outer, outer_bias = parameters
    return Network(inner, inner_bias, outer, outer_bias)


def _begun(chance: np.random.Generator, size: int, labels: int, hidden: int) -> list[Floats]:
    middle = hidden or size

    def drawn(rows: int, columns: int, spread: float) -> Floats:
        return (chance.standard_normal((rows, columns)) * spread).astype(np.float32)

    inner = drawn(size, hidden, (2 / size) ** 0.5) if hidden else np.zeros((0, 0), np.float32)
    outer = drawn(middle, labels, middle**-0.5) if hidden else np.zeros((middle, labels), np.float32)
    return [inner, np.zeros(hidden, np.float32), outer, np.zeros(labels, np.float32)]


def _gradients(parameters: list[Floats], batch: Batch, shape: Shape, chance: np.random.Generator) -> list[Floats]:
    """Of the weighted cross entropy, a mean over the batch and a sum over the labels."""
    inputs, targets, weights = batch
    inner, inner_bias, outer, outer_bias = parameters
    inputs = inputs * _kept(chance, inputs.shape, INPUT_DROPOUT)
    if shape.hidden:
        before = inputs @ inner + inner_bias
        mask = _kept(chance, before.shape, shape.dropout) * (before > 0)
        middle = np.asarray(before * mask, dtype=np.float32)
    else:
        middle = inputs
    error = (sigmoid(middle @ outer + outer_bias) - targets) * weights / np.float32(len(inputs))
    into_outer, into_outer_bias = middle.T @ error, error.sum(axis=0)
    if not shape.hidden:
        return [inner, inner_bias, into_outer, into_outer_bias]
    back = (error @ outer.T) * mask
    return [inputs.T @ back, back.sum(axis=0), into_outer, into_outer_bias]


def _kept(chance: np.random.Generator, shape: tuple[int, ...], dropout: float) -> Floats:
    return ((chance.random(shape, dtype=np.float32) >= dropout) / np.float32(1 - dropout)).astype(np.float32)


def _rate(way: float) -> float:
    """Up for three tenths of the way, then down to nearly nothing."""
    return RATE * (way / 0.3 if way < 0.3 else 0.5 * (1 + np.cos(np.pi * (way - 0.3) / 0.7)) + 1e-4)


def _move(
    parameters: list[Floats], gradients: list[Floats], moments: list[tuple[Floats, Floats]],
    *, step: int, rate: float, decay: float,
) -> None:  # fmt: skip
    for number, gradient in enumerate(gradients):
        value, (first, second) = parameters[number], moments[number]
        if not value.size:
            continue
        first *= BETA_1
        first += (1 - BETA_1) * gradient
        second *= BETA_2
        second += (1 - BETA_2) * gradient * gradient
        change = (first / (1 - BETA_1**step)) / (np.sqrt(second / (1 - BETA_2**step)) + EPSILON)
        if value.ndim > 1:
            value *= np.float32(1 - rate * decay)
        value -= np.float32(rate) * change
