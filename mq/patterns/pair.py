"""How do two sockets exchange messages? PAIR (RFC 31) and CHANNEL (RFC 52): one peer, both directions."""

from __future__ import annotations

import trio

from ..pipe import Pipe
from ..socket import Socket
from .fair_queue import SingleFrames
from .many import FairQueueMany, FairQueueManyMultipart, RoundRobinMany, RoundRobinManyMultipart


class OnlyPeer(Socket):
    """Accept one peer at a time. A second peer is refused until the first has disconnected."""

    chooses = True

    def _refuse(self, pipe: Pipe) -> str | None:
        if self._peer_count:
            return f"{self.socket_type} has a peer already, and accepts one at a time"
        return super()._refuse(pipe)


class Pair(OnlyPeer, RoundRobinManyMultipart, FairQueueManyMultipart, trio.abc.Channel[bytes]):
    """Send to and receive from one PAIR peer. Further peers are refused until this one has disconnected."""

    socket_type = "PAIR"


class Channel(OnlyPeer, RoundRobinMany, SingleFrames, FairQueueMany, trio.abc.Channel[bytes]):
    """Send to and receive from one CHANNEL peer, as a Pair does. Messages have one frame."""

    socket_type = "CHANNEL"
