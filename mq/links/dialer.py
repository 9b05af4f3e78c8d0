"""How is an endpoint kept connected? Attempts with growing pauses, for as long as the socket wants it."""

from __future__ import annotations

import random

import trio

from ..endpoint import Endpoint
from ..monitor import Closed, ConnectDelayed, Connected, ConnectRetried
from ..options import Options
from ..pipe import Pipe
from ..transports import TRANSPORTS, Stream
from . import session
from .owner import Owner


async def dial(owner: Owner, endpoint: Endpoint, pipe: Pipe) -> None:
    """Connect ``pipe`` to ``endpoint`` again and again; return only when the options forbid to reconnect."""
    options = owner.options
    failures = 0
    while True:
        stream = await _attempt(owner, endpoint, pipe)
        if stream is not None and await session.hold(owner, pipe.endpoint, stream, pipe):
            failures = 0
        if options.reconnect_interval is None:
            owner.report(Closed(endpoint=pipe.endpoint))
            return
        delay = _pause(options, failures)
        failures += 1
        owner.report(ConnectRetried(endpoint=pipe.endpoint, delay=delay))
        await trio.sleep(delay)


def _pause(options: Options, failures: int) -> float:
    """Return the pause before the next attempt: doubling, capped, and cut by up to a half at random."""
    interval = options.reconnect_interval or 0.0
    longest = max(interval, options.reconnect_interval_max)
    return min(longest, interval * 2.0 ** min(failures, 60)) * random.uniform(0.5, 1.0)


async def _attempt(owner: Owner, endpoint: Endpoint, pipe: Pipe) -> Stream | None:
    transport = TRANSPORTS[endpoint.scheme]
    patience = owner.options.connect_timeout
    try:
        with trio.move_on_after(patience):
            stream = await transport.connect(endpoint, owner.options)
            owner.report(Connected(endpoint=pipe.endpoint, peer=stream.peer))
            return stream
        reason = f"no answer within {patience:g} s"
    except OSError as error:
        reason = error.strerror or str(error)
    owner.report(ConnectDelayed(endpoint=pipe.endpoint, reason=reason))
    return None
