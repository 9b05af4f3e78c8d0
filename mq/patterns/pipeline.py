"""PUSH and PULL (RFC 30): work goes one way, to whoever has room, and is taken fairly from all."""

from __future__ import annotations

from .incoming import FairQueueMultipart
from .outgoing import RoundRobinMultipart


class Push(RoundRobinMultipart):
    """Send each message to one of the connected PULL peers, in turn. Cannot receive."""

    socket_type = "PUSH"


class Pull(FairQueueMultipart):
    """Receive from all connected PUSH peers, in turn. Cannot send."""

    socket_type = "PULL"
