"""From whom is a message? Its sender's routing id is received as its first frame."""

from __future__ import annotations

from typing import Any, Never

from ..errors import MultipartMessage
from ..message import Message
from ..pipe import Pipe
from .addressed import ByRoutingId
from .fair_queue import FairQueueMultipart


class _Named(list[bytes]):
    """The frames of a message whose sender has another name by now: the one that it had comes first."""


class FromNamed(ByRoutingId, FairQueueMultipart):
    """Receive messages of any number of frames, and before them the routing id of the peer that sent them.

    The two are put together as late as can be: lists that wait would be work for Python's garbage collector.
    """

    _sender: bytes
    """Who sent what there is a run of."""

    async def receive(self) -> Never:
        """Raise `MultipartMessage`, which carries the frames: there are two at least. See `receive_multipart`."""
        raise MultipartMessage(await self.receive_multipart())

    __anext__ = receive

    async def receive_multipart(self) -> list[bytes]:
        """Receive a message as the list of its frames, of which the first is the routing id of its sender.

        A receive that need not wait is a checkpoint only at every 256th message. Cancelled, it has received
        nothing. Raises ``trio.ClosedResourceError``.
        """
        for message in self._run:  # what `after` does, for one call per message
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
            for place in range(len(pipe.ready)):  # within the process, another thread may be adding more
                pipe.ready[place] = _Named(after(pipe.address, pipe.ready[place]))
        super()._know(pipe, address)


def after(sender: bytes, message: Message) -> list[bytes]:
    """Return the frames of ``message``, the name of its ``sender`` first."""
    if isinstance(message, bytes):
        return [sender, message]
    return list(message) if type(message) is _Named else [sender, *message]
