"""How are connections accepted? One task per listener, and one session per connection."""

from __future__ import annotations

import trio

from ..monitor import Accepted, AcceptFailed, HandshakeFailed
from ..transports import PASSING, Listener, TurnedAway, is_shortage, reason_of
from . import session
from .notice import Notice
from .owner import Owner

_BREATH = 0.1
"""Seconds to wait when accepting fails, at first: what is short is not there again at once."""

_LONGEST_BREATH = 1.0
"""The same after several failures in a row. For so long a client may be kept waiting in vain."""


async def listen(owner: Owner, listener: Listener) -> None:
    """Accept connections until cancelled or until ``listener`` is closed; then hold those that there are."""
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
    """Waits when accepting fails. A trouble that lasts is reported once, and said once in the log."""

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
            self._notice.say(f"{self._endpoint} accepts nobody for now, and clients are kept waiting: {reason}")
        await trio.sleep(self._breath)
        self._breath = min(self._breath * 2, _LONGEST_BREATH)

    def opens(self) -> None:
        self._notice.over()
        self._reason = ""
        self._breath = _BREATH


async def _wait_for_room(owner: Owner, endpoint: str) -> None:
    """Wait while the socket wants nobody else: the kernel keeps them for us, and in the end turns them away."""
    reason = owner.crowded()
    if reason:
        owner.report(AcceptFailed(endpoint=endpoint, reason=reason))
        while owner.crowded():  # noqa: ASYNC110 - what is received says nothing to listeners
            await trio.sleep(_BREATH)
