"""Muon (Jordan et al. 2024): momentum orthogonalized by a Newton-Schulz iteration, for a network's matrices.

Matrices of one shape are orthogonalized together, which is what makes it affordable on a CPU.
"""

from collections.abc import Iterable

import torch
from torch import nn

from starter.precision import DTYPE

ITERATIONS = 4
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon:
    """`step(rate)` changes every element by about 0.2 · `rate` (root mean square), AdamW's usual size."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, momentum: float = 0.95) -> None:
        self.parameters = list(parameters)
        self.momentum = momentum
        self.buffers = [torch.zeros_like(p, memory_format=torch.contiguous_format) for p in self.parameters]
        self.shapes: dict[tuple[int, int], list[int]] = {}
        for index, p in enumerate(self.parameters):
            self.shapes.setdefault((p.shape[0], p[0].numel()), []).append(index)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for (rows, columns), indices in self.shapes.items():
            directions = torch.stack([self.direction(i).reshape(rows, columns) for i in indices])
            scale = 0.2 * rate * max(rows, columns) ** 0.5
            for index, update in zip(indices, orthogonalize(directions), strict=True):
                p = self.parameters[index]
                p.add_(update.view(p.shape).to(p.dtype), alpha=-scale)

    def direction(self, index: int) -> torch.Tensor:
        """Nesterov momentum."""
        grad, buffer = self.parameters[index].grad, self.buffers[index]
        if grad is None:
            return buffer
        buffer.lerp_(grad, 1 - self.momentum)
        return grad.lerp(buffer, self.momentum)


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """[n, r, c] -> the nearest (semi-)orthogonal matrices, roughly."""
    a, b, c = COEFFICIENTS
    x: torch.Tensor = matrices.to(DTYPE)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
