"""PAIR (RFC 31): one peer, both directions."""

from __future__ import annotations

import trio

from ..pipe import Pipe
from .incoming import FairQueueMultipart
from .outgoing import RoundRobinMultipart


class Pair(RoundRobinMultipart, FairQueueMultipart, trio.abc.Channel[bytes]):
    """A socket for exactly one peer at a time. A second one is turned away until the first has left."""

    socket_type = "PAIR"

    def _refuse(self, pipe: Pipe) -> str | None:
        if self._peer_count:
            return "PAIR has a peer already, and takes one at a time"
        return super()._refuse(pipe)
