"""Which sockets can a proxy join? Those whose messages have the same shape. Checks capture and control, too."""

from __future__ import annotations

from .message import shortened
from .patterns.client_server import Client, Peer, Server
from .patterns.dealer_router import Dealer, Router
from .patterns.groups import Dish, Radio
from .patterns.pair import Channel, Pair
from .patterns.pipeline import Gather, Pull, Push, Scatter
from .patterns.pubsub import Pub, Sub
from .patterns.raw import Stream
from .patterns.reqrep import Rep, Req
from .patterns.xpubxsub import XPub, XSub
from .socket import Socket

_SHAPES: dict[type[Socket], str] = {
    **dict.fromkeys((Pair, Push, Pull, Pub, Sub, XPub, XSub, Dealer, Router, Rep, Stream), "frames"),
    **dict.fromkeys((Channel, Client, Scatter, Gather), "one frame"),
    **dict.fromkeys((Radio, Dish), "a group and a frame"),
}
"""The shape of the messages of each type."""

_NOT_BETWEEN = {
    Req: "a Req receives only replies to its own requests. Use a Dealer instead",
    Rep: "a Rep answers one request at a time. Use a Router instead, or pass the Rep as both sides to echo requests",
    Server: "the routing ids of a Server mean nothing to the other side. Use a Router instead, with Dealers as clients",
    Peer: "the routing ids of a Peer mean nothing to the other side. Use a Router instead, with Dealers as clients",
}
"""The types that a proxy cannot join, and the reason and remedy for each."""

_CAPTURES = (Pub, XPub, Push, Pair, Dealer)
_CONTROLS = (Pair, Rep, Pull, Sub)


def checked(given: dict[str, Socket]) -> list[Socket]:
    """Return the sockets, each once. Raises TypeError or ValueError if a proxy cannot join them."""
    for name, socket in given.items():
        if not isinstance(socket, Socket):
            raise TypeError(f"proxy() joins sockets of mq; its {name} is {shortened(socket)}, which is not a socket")
        socket._check_open()
    _check_sides(given["frontend"], given["backend"])
    for name, kinds in (("capture", _CAPTURES), ("control", _CONTROLS)):
        if name not in given:
            continue
        socket = given[name]
        if not isinstance(socket, kinds):
            known = ", ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"the {name} of a proxy is one of {known}; got a {socket._name}")
        if sum(each is socket for each in given.values()) > 1:
            raise ValueError(f"the {name} of a proxy is a separate socket; got the same socket for two arguments")
    return list(dict.fromkeys(given.values()))


def _check_sides(frontend: Socket, backend: Socket) -> None:
    names = f"a {frontend._name} and a {backend._name}" if frontend is not backend else f"a {frontend._name} to itself"
    for side in (frontend, backend):
        for kind, why in _NOT_BETWEEN.items():
            if isinstance(side, kind) and not (kind is Rep and frontend is backend):
                raise TypeError(f"a proxy cannot join {names}: {why}")
    ways = [(source, sink) for source, sink in ((frontend, backend), (backend, frontend)) if could(source, sink)]
    if not ways:
        raise TypeError(f"a proxy cannot join {names}: neither can send what the other receives")
    for source, sink in ways:
        have, need = _shape(source), _shape(sink)
        if have != need and (have, need) != ("one frame", "frames"):
            raise TypeError(
                f"a proxy cannot join {names}: a message of a {source._name} is {have}, one of a {sink._name} is {need}"
            )


def could(source: Socket, sink: Socket) -> bool:
    """Return whether ``source`` can receive and ``sink`` can send."""
    return hasattr(source, "receive") and hasattr(sink, "send")


def _shape(socket: Socket) -> str:
    return next(shape for kind, shape in _SHAPES.items() if isinstance(socket, kind))
