"""How is a message sent? By four methods, for patterns in which a send may cost one more call."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from ..message import Buffer, Message, as_frame, as_message
from ..socket import Socket


class Sender(Socket, trio.abc.SendChannel[bytes]):
    """The four send methods. Subclasses implement ``_offer`` and ``_offer_nowait``."""

    async def send(self, message: bytes) -> None:
        """Send a message of one frame. The class describes which peer receives the message, and when a send waits.

        A send that need not wait is a checkpoint only once per turn: 256 messages, or 1 MiB of messages of 8 KiB and
        more. A cancelled send has queued no message. Raises TypeError if ``message`` is not bytes, and
        ``trio.ClosedResourceError`` when the socket is closed.
        """
        await self._offer(as_frame(message), "send")

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send a message of one or more frames, all or none of them. Otherwise as `send`."""
        await self._offer(as_message(frames), "send_multipart")

    def send_nowait(self, message: bytes) -> None:
        """Send as `send` does. Raises ``trio.WouldBlock`` where `send` would wait."""
        self._check_open()
        self._offer_nowait(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """Send as `send_multipart` does. Raises ``trio.WouldBlock`` where it would wait."""
        self._check_open()
        self._offer_nowait(as_message(frames))

    async def _offer(self, message: Message, doing: str) -> None:
        """Send ``message``. Waits if the pattern must wait."""
        raise NotImplementedError

    def _offer_nowait(self, message: Message) -> None:
        """Send ``message``. Raises ``trio.WouldBlock`` where ``_offer`` would wait."""
        raise NotImplementedError
