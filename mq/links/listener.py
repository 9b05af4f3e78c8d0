"""How are connections accepted? One task per listener, and one session per connection."""

from __future__ import annotations

import trio

from ..monitor import Accepted, AcceptFailed, HandshakeFailed
from ..transports import Listener, TurnedAway
from . import session
from .owner import Owner

_BREATH = 0.1
"""Seconds to wait when accepting fails: out of file descriptors is not over at once."""


async def listen(owner: Owner, listener: Listener) -> None:
    """Accept connections until cancelled or until ``listener`` is closed; then hold those that there are."""
    endpoint = listener.endpoint
    async with trio.open_nursery() as nursery:
        while True:
            try:
                stream = await listener.accept()
            except trio.ClosedResourceError:
                return
            except TurnedAway as refusal:
                owner.report(HandshakeFailed(endpoint=endpoint, peer=refusal.peer, reason=refusal.reason))
                continue
            except OSError as error:
                owner.report(AcceptFailed(endpoint=endpoint, reason=error.strerror or str(error)))
                await trio.sleep(_BREATH)
                continue
            owner.report(Accepted(endpoint=endpoint, peer=stream.peer))
            nursery.start_soon(session.hold, owner, endpoint, stream)
