"""ZeroMQ for Trio, in pure Python: whole messages between tasks, threads, processes and machines."""

from .errors import (
    BindError,
    Error,
    InvalidEndpoint,
    MultipartMessage,
    NotOpen,
    PeerError,
    ProtocolError,
    UnsupportedScheme,
    WrongThread,
)
from .monitor import (
    Accepted,
    AcceptFailed,
    Closed,
    ConnectDelayed,
    Connected,
    ConnectRetried,
    Disconnected,
    Dropped,
    Event,
    HandshakeFailed,
    Handshaken,
    Listening,
    PeerStatistics,
    Statistics,
)
from .options import Options
from .patterns.pair import Pair
from .patterns.pipeline import Pull, Push
from .socket import Socket

__version__ = "0.1.0"

__all__ = [
    "AcceptFailed",
    "Accepted",
    "BindError",
    "Closed",
    "ConnectDelayed",
    "ConnectRetried",
    "Connected",
    "Disconnected",
    "Dropped",
    "Error",
    "Event",
    "HandshakeFailed",
    "Handshaken",
    "InvalidEndpoint",
    "Listening",
    "MultipartMessage",
    "NotOpen",
    "Options",
    "Pair",
    "PeerError",
    "PeerStatistics",
    "ProtocolError",
    "Pull",
    "Push",
    "Socket",
    "Statistics",
    "UnsupportedScheme",
    "WrongThread",
]
