"""How is a message handed to a socket? Four ways, for patterns in which a send may cost a call more."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from ..message import Buffer, Message, as_frame, as_message
from ..socket import Socket


class Sender(Socket, trio.abc.SendChannel[bytes]):
    """Send in the four ways that all sockets share; subclasses say in ``_offer`` and ``_offer_nowait`` what that is."""

    async def send(self, message: bytes) -> None:
        """Send a message of one frame. See the class for whom it goes to and what it waits for.

        A send that need not wait is a checkpoint only at every 256th message. Cancelled, it has sent nothing. Raises
        TypeError for anything but bytes and ``trio.ClosedResourceError``.
        """
        await self._offer(as_frame(message), "send")

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send a message of one or more frames, whole or not at all. Otherwise as `send`."""
        await self._offer(as_message(frames), "send_multipart")

    def send_nowait(self, message: bytes) -> None:
        """As `send`; raises ``trio.WouldBlock`` where that would wait."""
        self._check_open()
        self._offer_nowait(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """As `send_multipart`; raises ``trio.WouldBlock`` where that would wait."""
        self._check_open()
        self._offer_nowait(as_message(frames))

    async def _offer(self, message: Message, doing: str) -> None:
        """Send; wait where that is called for."""
        raise NotImplementedError

    def _offer_nowait(self, message: Message) -> None:
        """Send, or raise ``trio.WouldBlock``."""
        raise NotImplementedError
