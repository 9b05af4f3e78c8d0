"""How is work distributed in one direction? PUSH and PULL (RFC 30), SCATTER and GATHER (RFC 49): to peers in turn."""

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
    """Send each message to one of the connected GATHER peers, in turn. Messages have one frame. Cannot receive."""

    socket_type = "SCATTER"


class Gather(SingleFrames, FairQueueMany):
    """Receive from all connected SCATTER peers, in turn. Messages have one frame. Cannot send."""

    socket_type = "GATHER"
