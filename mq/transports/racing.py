"""Which of a host's addresses is connected to? The first address that answers: Happy Eyeballs (RFC 8305).

An address that does not answer costs 250 ms. Then an attempt at the next address begins beside it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

import trio

from .base import Stream
from .rounds import Address, Rounds

S = TypeVar("S", bound=Stream)

DELAY = 0.25
"""Seconds until an attempt at another address begins: RFC 8305's Connection Attempt Delay."""


async def first(
    addresses: Collection[Address], connect: Callable[[Address], Awaitable[S]], rounds: Rounds
) -> S:
    """Return the first stream that ``connect`` makes, and close all others. Raises OSError if all attempts fail."""
    order = rounds.begin(addresses)
    won: list[S] = []
    refusals: list[OSError] = []

    async def attempt(address: Address, failed: trio.Event) -> None:
        rounds.trying(address)
        try:
            stream = await connect(address)
        except OSError as refusal:
            refusals.append(refusal)
            failed.set()
            return
        won.append(stream)
        rounds.answered(address)
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in order:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(DELAY):
                    await failed.wait()
                # An attempt that succeeded while this thread was busy ends the race here, before another one begins:
                # the peer would see a connection that is closed at once.
                await trio.lowlevel.checkpoint()
    except BaseException:
        for stream in won:
            stream.close()
        raise
    for stream in won[1:]:  # connected in the same tick
        stream.close()
    if not won:
        raise _refusal(refusals)
    return won[0]


def _refusal(refusals: list[OSError]) -> OSError:
    """Return one error for all attempts. A refusal decides its class, and so the kind for `reconnect_stop`."""
    refusal = next((each for each in refusals if isinstance(each, ConnectionRefusedError)), refusals[0])
    reasons = dict.fromkeys(each.strerror or str(each) for each in refusals)
    return OSError(refusal.errno, "; ".join(reasons)) if len(reasons) > 1 else refusal
