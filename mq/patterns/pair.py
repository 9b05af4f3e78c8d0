"""PAIR (RFC 31) and CHANNEL (RFC 52): one peer, both directions."""

from __future__ import annotations

import trio

from ..pipe import Pipe
from ..socket import Socket
from .fair_queue import SingleFrames
from .many import FairQueueMany, FairQueueManyMultipart, RoundRobinMany, RoundRobinManyMultipart


class OnlyPeer(Socket):
    """Take one peer at a time. A second one is turned away until the first has left."""

    chooses = True

    def _refuse(self, pipe: Pipe) -> str | None:
        if self._peer_count:
            return f"{self.socket_type} has a peer already, and takes one at a time"
        return super()._refuse(pipe)


class Pair(OnlyPeer, RoundRobinManyMultipart, FairQueueManyMultipart, trio.abc.Channel[bytes]):
    """A socket for exactly one peer at a time."""

    socket_type = "PAIR"


class Channel(OnlyPeer, RoundRobinMany, SingleFrames, FairQueueMany, trio.abc.Channel[bytes]):
    """A socket for exactly one peer at a time, and messages of one frame."""

    socket_type = "CHANNEL"
