"""From work to credits, in one place.

`work` is model calls x megapixels x the model's factor: what an image costs the device. One credit buys one unit of it,
and every image costs at least one credit. The quote of a generation is its images' price together; it is what is held,
and never less than what is charged. docs/billing.md states what each ending costs; here it is computed.
"""

from collections.abc import Iterable
from math import ceil


def image_work(*, calls: int, width: int, height: int, factor: float) -> float:
    """The work of one image of `width` x `height` drawn pixels that takes `calls` model calls."""
    return calls * (width * height / 1_000_000) * factor


def image_credits(work: float) -> int:
    # 25 x 1 x 2.2 is 55.00000000000001 in floating point; nobody pays a credit for the last digit.
    return max(1, ceil(round(work, 9)))


def settled_credits(quote: int, *, n: int, steps: int, stored: Iterable[int], abandoned: Iterable[int] = ()) -> int:
    """What an ending costs of a quote for `n` images of `steps` steps each.

    `stored` are the steps run for each image that was stored: its price, less where steps were saved. `abandoned` are
    those run for images that were canceled on the way: the device's time so far, rounded down. An image that failed or
    was refused is in neither, and costs nothing. Never more than the quote.
    """
    each = quote // n
    finished = sum(max(1, _share(each, run, steps, up=True)) for run in stored)
    begun = sum(_share(each, run, steps, up=False) for run in abandoned)
    return min(quote, finished + begun)


def refunded_credits(quote: int, *, n: int, steps: int, run: int) -> int:
    """What is given back for one of `n` images that was stored and paid for after `run` of `steps` steps."""
    return max(1, _share(quote // n, run, steps, up=True))


def cached_credits(quote: int, *, percent: int) -> int:
    """The price of an answer from the cache: a share of the quote, rounded up. Nothing at 0 percent."""
    return -(-quote * percent // 100)


def _share(price: int, run: int, steps: int, *, up: bool) -> int:
    run = min(max(run, 0), steps)
    return -(-price * run // steps) if up else price * run // steps
