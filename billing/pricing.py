"""From work to credits, in one place.

`work` is model calls x megapixels x the model's factor: what an image costs the device. One credit buys one unit of it,
and every image costs at least one credit. The quote of a generation is its images' price together; it is what is held,
and never less than what is charged.
"""

from math import ceil


def image_work(*, calls: int, width: int, height: int, factor: float) -> float:
    """The work of one image of `width` x `height` drawn pixels that takes `calls` model calls."""
    return calls * (width * height / 1_000_000) * factor


def image_credits(work: float) -> int:
    return max(1, ceil(work))
