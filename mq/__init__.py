"""ZeroMQ for Trio, in pure Python: whole messages between tasks, threads, processes and machines."""

import typing as _typing

from . import absent as _absent
from .errors import (
    BindError,
    Error,
    InvalidEndpoint,
    MissingExtra,
    MultipartMessage,
    NotOpen,
    OutOfTurn,
    PeerError,
    PeerLost,
    ProtocolError,
    Unroutable,
    UnsupportedScheme,
    WrongThread,
)
from .keys import curve_keypair
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
from .patterns.client_server import Client, Peer, Server
from .patterns.dealer_router import Dealer, Router
from .patterns.groups import Dish, Radio
from .patterns.pair import Channel, Pair
from .patterns.pipeline import Gather, Pull, Push, Scatter
from .patterns.pubsub import Pub, Sub
from .patterns.raw import Stream
from .patterns.reqrep import Rep, Req
from .patterns.xpubxsub import XPub, XSub
from .proxy import proxy
from .socket import Socket

__version__ = "0.1.0"

if not _typing.TYPE_CHECKING:  # with a __getattr__, type checkers would accept every name
    __getattr__ = _absent.explain

__all__ = [
    "AcceptFailed",
    "Accepted",
    "BindError",
    "Channel",
    "Client",
    "Closed",
    "ConnectDelayed",
    "ConnectRetried",
    "Connected",
    "Dealer",
    "Disconnected",
    "Dish",
    "Dropped",
    "Error",
    "Event",
    "Gather",
    "HandshakeFailed",
    "Handshaken",
    "InvalidEndpoint",
    "Listening",
    "MissingExtra",
    "MultipartMessage",
    "NotOpen",
    "Options",
    "OutOfTurn",
    "Pair",
    "Peer",
    "PeerError",
    "PeerLost",
    "PeerStatistics",
    "ProtocolError",
    "Pub",
    "Pull",
    "Push",
    "Radio",
    "Rep",
    "Req",
    "Router",
    "Scatter",
    "Server",
    "Socket",
    "Statistics",
    "Stream",
    "Sub",
    "Unroutable",
    "UnsupportedScheme",
    "WrongThread",
    "XPub",
    "XSub",
    "curve_keypair",
    "proxy",
]
