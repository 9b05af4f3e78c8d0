"""PUSH and PULL (RFC 30), SCATTER and GATHER (RFC 49): work goes one way, to whoever has room, and is taken fairly."""

from __future__ import annotations

from .fair_queue import SingleFrames
from .many import FairQueueMany, FairQueueManyMultipart, RoundRobinMany, RoundRobinManyMultipart


class Push(RoundRobinManyMultipart):
    """Send each message to one of the connected PULL peers, in turn. Cannot receive."""

    socket_type = "PUSH"


class Pull(FairQueueManyMultipart):
    """Receive from all connected PUSH peers, in turn. Cannot send."""

    socket_type = "PULL"


class Scatter(RoundRobinMany):
    """Send each message, of one frame, to one of the connected GATHER peers, in turn. Cannot receive."""

    socket_type = "SCATTER"


class Gather(SingleFrames, FairQueueMany):
    """Receive messages of one frame from all connected SCATTER peers, in turn. Cannot send."""

    socket_type = "GATHER"
