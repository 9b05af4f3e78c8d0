"""How is a message received? One by one, as one frame or several, from peers in turn."""

from __future__ import annotations

import logging
from typing import Any

import trio

from ..errors import MultipartMessage
from ..message import Message, frames_of
from ..peers import PATIENCE
from ..pipe import Pipe
from .incoming import Receiver

log = logging.getLogger("mq")


class Choosy(Receiver):
    """Receive what was asked for only. Who asked for nothing, and waits, is told so once."""

    _told = False

    async def _wait(self, doing: str) -> None:
        if self._told or not self._deaf():
            await super()._wait(doing)
            return
        with trio.move_on_after(PATIENCE):
            await super()._wait(doing)
            return
        why = self._deaf()
        if why:
            self._told = True
            log.warning("%s.%s() waits: %s", self._name, doing, why)

    def _deaf(self) -> str:
        """Return why nothing can come, as long as nothing can."""
        return ""


class FairQueue(Receiver, trio.abc.ReceiveChannel[bytes]):
    """Receive messages of one frame, from each peer that has some in turn."""

    async def receive(self) -> bytes:
        """Receive a message of one frame; waits while there is none.

        A receive that need not wait is a checkpoint only at every 256th message. Cancelled, it has received
        nothing. Raises `MultipartMessage`, which carries the frames, for a message of several, and
        ``trio.ClosedResourceError``.
        """
        for message in self._run:  # the next of it, if there is one
            if type(message) is list:
                raise MultipartMessage(message)
            return message  # type: ignore[no-any-return]
        message = await self._next("receive")
        if type(message) is list:
            raise MultipartMessage(message)
        return message  # type: ignore[no-any-return]

    __anext__ = receive

    def receive_nowait(self) -> bytes:
        """Receive a message of one frame if there is one, else raise ``trio.WouldBlock``."""
        self._check_open()
        message = self._pop()
        if type(message) is list:
            raise MultipartMessage(message)
        return message  # type: ignore[no-any-return]


class FairQueueMultipart(FairQueue):
    """Receive messages of any number of frames, from each peer that has some in turn."""

    async def receive_multipart(self) -> list[bytes]:
        """Receive any message as the list of its frames. Otherwise as `receive`."""
        for message in self._run:
            return message if type(message) is list else [message]
        return frames_of(await self._next("receive_multipart"))

    def receive_multipart_nowait(self) -> list[bytes]:
        """Receive any message if there is one, else raise ``trio.WouldBlock``."""
        self._check_open()
        return frames_of(self._pop())


class SingleFrames(FairQueue):
    """Receive from peers that may send messages of one frame only; others are dropped and counted."""

    _translates = True

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        return self._single_frames(pipe, batch)
