"""Which peer sent a message? The first received frame is the routing id of the sender."""

from __future__ import annotations

from typing import Any, Never

from ..errors import MultipartMessage
from ..message import Message
from ..pipe import Pipe
from .addressed import ByRoutingId
from .fair_queue import FairQueueMultipart


class _Named(list[bytes]):
    """The frames of a message with the earlier routing id of its sender, which has changed since."""


class FromNamed(ByRoutingId, FairQueueMultipart):
    """Receive messages of any number of frames, after the routing id of the sender.

    The routing id is added only when a message is received: waiting lists would cost time in the garbage collector.
    """

    _sender: bytes
    """The routing id of the peer whose messages are in the run."""

    async def receive(self) -> Never:
        """Raise `MultipartMessage`, which carries the frames. Call `receive_multipart` instead.

        A message has at least two frames: the routing id of the sender and the body.
        """
        raise MultipartMessage(await self.receive_multipart())

    __anext__ = receive

    async def receive_multipart(self) -> list[bytes]:
        """Receive a message as the list of its frames. The first frame is the routing id of the sender.

        Waits while there is no message. A receive that need not wait is a checkpoint only once per turn: 256 messages,
        or 1 MiB of messages of 8 KiB and more. A cancelled receive has taken no message. Raises
        ``trio.ClosedResourceError`` when the socket is closed.
        """
        for message in self._run:  # the same as `after`, inline to save a call per message
            if type(message) is bytes:
                return [self._sender, message]
            return list(message) if type(message) is _Named else [self._sender, *message]
        frames: list[bytes] = await self._next("receive_multipart")
        return frames

    def _grant_run(self, pipe: Pipe, most: int) -> None:
        super()._grant_run(pipe, most)
        self._sender = pipe.address

    def _pop(self) -> Any:
        if not self._readable:
            self._make_the_most()
        sender = self._readable[0].address
        return after(sender, super()._pop())

    def _know(self, pipe: Pipe, address: Any) -> None:
        if pipe.address is not None:
            self._end_run()
            for place in range(len(pipe.ready)):  # another thread of the process may be adding messages
                pipe.ready[place] = _Named(after(pipe.address, pipe.ready[place]))
        super()._know(pipe, address)


def after(sender: bytes, message: Message) -> list[bytes]:
    """Return the frames of ``message`` after the routing id of its ``sender``."""
    if isinstance(message, bytes):
        return [sender, message]
    return list(message) if type(message) is _Named else [sender, *message]
