"""How do bytes travel? One file per transport, behind the contracts of `base`."""

from .base import Listener, Stream, Transport, TurnedAway
from .ipc import IPC
from .rounds import Rounds
from .shortage import PASSING, first_of, is_shortage, reason_of
from .tcp import TCP

TRANSPORTS: dict[str, Transport] = {"tcp": TCP, "ipc": IPC}
"""For each scheme, its transport. `inproc` carries messages, not bytes, and is not in this table."""

__all__ = [
    "PASSING",
    "TRANSPORTS",
    "Listener",
    "Rounds",
    "Stream",
    "Transport",
    "TurnedAway",
    "first_of",
    "is_shortage",
    "reason_of",
]
