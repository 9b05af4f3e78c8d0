"""How are connections accepted? One task per endpoint accepts them, and each connection gets a session of its own."""

from __future__ import annotations

import trio

from ..monitor import Accepted, AcceptFailed, HandshakeFailed
from ..transports import PASSING, Listener, TurnedAway, is_shortage, reason_of
from . import session
from .notice import Notice
from .owner import Owner

_BREATH = 0.1
"""Seconds to wait after the first failure to accept: a shortage does not end at once."""

_LONGEST_BREATH = 1.0
"""Seconds to wait at most, after several failures in a row. A client may wait this long after the shortage ends."""


async def listen(owner: Owner, listener: Listener) -> None:
    """Accept connections until cancelled. After ``listener`` is closed, wait until the accepted connections end."""
    endpoint = listener.endpoint
    door = _Door(owner, endpoint)
    async with trio.open_nursery() as nursery:
        while True:
            await _wait_for_room(owner, endpoint)
            try:
                stream = await listener.accept()
            except trio.ClosedResourceError:
                return
            except TurnedAway as refusal:
                owner.report(HandshakeFailed(endpoint=endpoint, peer=refusal.peer, reason=refusal.reason))
            except PASSING as error:
                await door.wait(error)
            else:
                door.opens()
                owner.report(Accepted(endpoint=endpoint, peer=stream.peer))
                nursery.start_soon(session.hold, owner, endpoint, stream)


class _Door:
    """Waits after a failure to accept. A failure that lasts causes one event, and one line in the log."""

    def __init__(self, owner: Owner, endpoint: str) -> None:
        self._owner = owner
        self._endpoint = endpoint
        self._notice = Notice(owner.warn)
        self._reason = ""
        self._breath = _BREATH

    async def wait(self, error: Exception) -> None:
        reason = reason_of(error)
        if reason != self._reason:
            self._reason = reason
            self._owner.report(AcceptFailed(endpoint=self._endpoint, reason=reason))
        if is_shortage(error):
            self._notice.say(f"{self._endpoint}: cannot accept connections for now, so clients wait: {reason}")
        await trio.sleep(self._breath)
        self._breath = min(self._breath * 2, _LONGEST_BREATH)

    def opens(self) -> None:
        self._notice.over()
        self._reason = ""
        self._breath = _BREATH


async def _wait_for_room(owner: Owner, endpoint: str) -> None:
    """Wait while the socket takes no more peers. The kernel queues connections, and later refuses them."""
    reason = owner.crowded()
    if reason:
        owner.report(AcceptFailed(endpoint=endpoint, reason=reason))
        while owner.crowded():  # noqa: ASYNC110 - no event tells a listener that messages were received
            await trio.sleep(_BREATH)
