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
            await _wait_for_room(owner, endpoint)
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


async def _wait_for_room(owner: Owner, endpoint: str) -> None:
    """Wait while the socket wants nobody else: the kernel keeps them for us, and in the end turns them away."""
    reason = owner.crowded()
    if reason:
        owner.report(AcceptFailed(endpoint=endpoint, reason=reason))
        while owner.crowded():  # noqa: ASYNC110 - what is received says nothing to listeners
            await trio.sleep(_BREATH)
