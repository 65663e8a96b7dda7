"""When the requests of an open loop are due."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count, takewhile

from load.plan import Open


def arrivals(load: Open, seconds: float) -> Iterator[float]:
    """Yield the seconds, from 0 up to `seconds`, at which requests are due, in order.

    Fixed arrivals are `1 / rate` apart. Poisson's are apart as the calls of many independent users are: at random, by
    the exponential distribution, and `1 / rate` on average.
    """
    times = _poisson(load) if load.arrivals == "poisson" else (number / load.rate for number in count())
    return takewhile(lambda due: due < seconds, times)


def _poisson(load: Open) -> Iterator[float]:
    chance = random.Random(load.seed)  # noqa: S311  # arrivals, not secrets
    due = 0.0
    while True:
        due += chance.expovariate(load.rate)
        yield due
