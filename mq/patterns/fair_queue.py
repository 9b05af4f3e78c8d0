"""How is a message received? As one frame or as several, from each peer in turn."""

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
    """Receive only messages that match a subscription. The log warns once if a task waits without a subscription."""

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
        """Return the reason why no message can arrive, or "" if one can."""
        return ""


class FairQueue(Receiver, trio.abc.ReceiveChannel[bytes]):
    """Receive messages of one frame from each peer with waiting messages, in turn."""

    async def receive(self) -> bytes:
        """Receive a message of one frame. Waits while there is none.

        A receive that need not wait is a checkpoint only once per turn: 256 messages, or 1 MiB of messages of 8 KiB and
        more. A cancelled receive has taken no message. Raises `MultipartMessage`, which carries the frames, for a
        message of several frames, and ``trio.ClosedResourceError`` when the socket is closed.
        """
        for message in self._run:  # the next message of the run, if any
            if type(message) is list:
                raise MultipartMessage(message)
            return message  # type: ignore[no-any-return]
        message = await self._next("receive")
        if type(message) is list:
            raise MultipartMessage(message)
        return message  # type: ignore[no-any-return]

    __anext__ = receive

    def receive_nowait(self) -> bytes:
        """Receive a message of one frame. Raises ``trio.WouldBlock`` if there is none, otherwise as `receive`."""
        self._check_open()
        message = self._pop()
        if type(message) is list:
            raise MultipartMessage(message)
        return message  # type: ignore[no-any-return]


class FairQueueMultipart(FairQueue):
    """Receive messages of any number of frames from each peer with waiting messages, in turn."""

    async def receive_multipart(self) -> list[bytes]:
        """Receive a message as the list of its frames. Otherwise as `receive`."""
        for message in self._run:
            return message if type(message) is list else [message]
        return frames_of(await self._next("receive_multipart"))

    def receive_multipart_nowait(self) -> list[bytes]:
        """Receive a message as the list of its frames. Raises ``trio.WouldBlock`` if there is none."""
        self._check_open()
        return frames_of(self._pop())


class SingleFrames(FairQueue):
    """Receive messages of one frame. Messages of several frames are dropped and counted."""

    _translates = True

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        return self._single_frames(pipe, batch)
