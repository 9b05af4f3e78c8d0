"""How long until the next attempt to connect? Longer after each that failed."""

from __future__ import annotations

import random

from ..options import Options


def pause(options: Options, failures: int) -> float:
    """Return the seconds after so many failures: doubling, capped, and cut by a random part."""
    interval = options.reconnect_interval or 0.0
    longest = max(interval, options.reconnect_interval_max)
    nominal = min(longest, interval * 2.0 ** min(failures, 60))
    return nominal * (1.0 - options.reconnect_jitter * random.random())
