"""What does a program learn when it uses a name that a socket lacks? The AttributeError says what to write instead.

A socket that cannot receive has no ``receive``, also for ``hasattr`` and type checkers. This file lists the absent
names that programs often use.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

_ONLY_SENDS = "it only sends; receive with the mq.{other} at the other end, or use types that do both: {both}"
_ONLY_RECEIVES = "it only receives; send with the mq.{other} at the other end, or use types that do both: {both}"
_ONE_BY_ONE = "it passes one message per call; call {single}() in a loop"
_ONE_FRAME = "its messages have one frame; call {single}()"
_OPTION = "options are keyword arguments of the constructor, listed in mq.Options, as in mq.{socket}(linger=1.0)"
_OPTION_OR_TOPIC = f"{_OPTION}; to subscribe to a topic, call subscribe(topic)"
_NO_TIMEOUT = "write 'with trio.move_on_after(seconds):' around the call"
_NO_PICKLE = "a message is bytes, and unpickling bytes of a stranger runs the stranger's code; see the package actors"
_SUBSCRIBES = "topics are for mq.Sub; mq.XSub sends b'\\x01' + topic, and mq.Dish has join(group)"
_NO_TYPE = "mq.Socket is the base class of all socket types; open one of the types, such as mq.Pull"
_NOT_YET = "mq does not have this yet; docs/differences.md lists what is missing"

_PAIRS = {
    "PUSH": ("Pull", "mq.Pair"),
    "PULL": ("Push", "mq.Pair"),
    "SCATTER": ("Gather", "mq.Channel"),
    "GATHER": ("Scatter", "mq.Channel"),
    "PUB": ("Sub", "mq.XPub and mq.XSub"),
    "SUB": ("Pub", "mq.XPub and mq.XSub"),
    "RADIO": ("Dish", "mq.Server and mq.Client"),
    "DISH": ("Radio", "mq.Server and mq.Client"),
}
"""For each one-way socket type: the type at the other end, and the types that send and receive."""

_OPTIONS = ("linger", "hwm", "sndhwm", "rcvhwm", "identity", "routing_id", "router_mandatory", "conflate")

_ADVICE = {
    **dict.fromkeys(("receive", "receive_nowait", "receive_multipart", "receive_multipart_nowait"), _ONLY_SENDS),
    **dict.fromkeys(("send", "send_nowait", "send_multipart", "send_multipart_nowait"), _ONLY_RECEIVES),
    "socket_type": _NO_TYPE,
    **dict.fromkeys(("receive_many", "receive_many_multipart", "batches"), _ONLY_SENDS),
    **dict.fromkeys(("send_many", "send_many_multipart"), _ONLY_RECEIVES),
    # The methods of other types.
    **dict.fromkeys(("subscribe", "unsubscribe"), _SUBSCRIBES),
    **dict.fromkeys(("join", "leave"), "groups are for mq.Dish; mq.Sub has subscribe(topic)"),
    "wait_subscribed": "mq.Pub and mq.XPub have it, because the publisher waits for subscribers",
    "wait_joined": "mq.Radio has it, because the sender waits for the members of a group",
    **dict.fromkeys(("request", "request_multipart"), "mq.Req has it, and many tasks may call it at once"),
    "serve": "mq.Rep and mq.Router have it",
    "connect_peer": "mq.Peer has it; for other types, write connect(endpoint)",
    "disconnect_peer": "it is for types that address peers by routing id, such as mq.Router and mq.Server",
    # The vocabulary of pyzmq.
    "recv": "write 'await socket.receive()'",
    "recv_multipart": "write 'await socket.receive_multipart()'",
    "recv_string": "write '(await socket.receive()).decode()'",
    "send_string": "write 'await socket.send(text.encode())'",
    "recv_json": "write 'json.loads(await socket.receive())'",
    "send_json": "write 'await socket.send(json.dumps(value).encode())'",
    **dict.fromkeys(("recv_pyobj", "send_pyobj", "recv_serialized", "send_serialized"), _NO_PICKLE),
    "poll": f"await receive(), or call receive_nowait(); for a timeout, {_NO_TIMEOUT}",
    "close": "leave its 'async with' block, or write 'await socket.aclose()'",
    "closed": "a socket closes at the end of its 'async with' block, and then raises trio.ClosedResourceError",
    "context": "there is no context; a socket belongs to its 'async with' block",
    **dict.fromkeys(("fileno", "FD", "EVENTS"), "a socket has many connections; await its methods in a task"),
    **dict.fromkeys(("last_endpoint", "LAST_ENDPOINT"), "bind() returns the endpoint, with its port"),
    "bind_to_random_port": "write 'socket.bind(\"tcp://127.0.0.1:*\")', which returns the endpoint with its port",
    **dict.fromkeys(("get_monitor_socket", "disable_monitor"), "write 'async with socket.monitor() as events:'"),
    **dict.fromkeys(("get", "getsockopt", "get_hwm", "set_hwm", "getsockopt_string", "get_string"), _OPTION),
    **dict.fromkeys(("set", "setsockopt", "setsockopt_string", "set_string"), _OPTION_OR_TOPIC),
    **dict.fromkeys(_OPTIONS, _OPTION),
    **dict.fromkeys(map(str.upper, _OPTIONS), _OPTION),
    **dict.fromkeys(("sndtimeo", "rcvtimeo", "SNDTIMEO", "RCVTIMEO"), _NO_TIMEOUT),
}
"""The advice for each name: methods of the other direction, methods of other types, then the names of pyzmq."""

_TYPES = ("Pair", "Push", "Pull", "Pub", "Sub", "XPub", "XSub", "Req", "Rep", "Dealer", "Router", "Client", "Server",
          "Peer", "Channel", "Scatter", "Gather", "Radio", "Dish", "Stream")  # fmt: skip

_MODULE_ADVICE = {
    **{name.upper(): f"write 'async with mq.{name}() as socket:'" for name in _TYPES},
    "Context": "there is no context; write 'async with mq.Pull() as socket:'",
    "Poller": "there is no poller; start a task for each socket, in a nursery",
    "asyncio": "mq is for Trio; start with trio.run(main)",
    **dict.fromkeys(("ZMQError", "ZMQBaseError"), "the errors of mq derive from mq.Error; docs/sockets.md lists them"),
    "Again": "send_nowait() and receive_nowait() raise trio.WouldBlock",
    **dict.fromkeys(("NOBLOCK", "DONTWAIT"), "write send_nowait() or receive_nowait()"),
    **dict.fromkeys(("SNDMORE", "RCVMORE"), "write send_multipart(frames) or receive_multipart()"),
    **dict.fromkeys(("SUBSCRIBE", "UNSUBSCRIBE"), "call subscribe(topic) or unsubscribe(topic) on a mq.Sub"),
    **dict.fromkeys(("LINGER", "HWM", "SNDHWM", "RCVHWM", "IDENTITY", "ROUTING_ID"), _OPTION.format(socket="Push")),
    **dict.fromkeys(("RCVTIMEO", "SNDTIMEO"), _NO_TIMEOUT),
    **dict.fromkeys(("device", "proxy_steerable"), "write 'await mq.proxy(frontend, backend)'"),
    **dict.fromkeys(("Dgram", "DGRAM", "auth", "curve_keypair", "curve_public"), _NOT_YET),
}
"""The advice for the names of the module pyzmq."""


class _Absent:
    """A name that a class lacks, with the advice. It costs nothing until a program uses the name."""

    def __init__(self, name: str, advice: str) -> None:
        self._name = name
        self._advice = advice

    def __get__(self, instance: object, owner: type) -> NoReturn:
        name = self._name
        several = "_many" in name or name == "batches"
        single = name.removesuffix("_nowait").removesuffix("_multipart")
        advice = self._advice
        kind = getattr(owner, "socket_type", "") if name != "socket_type" else ""
        if not kind:
            advice = _NO_TYPE
        elif single != name and hasattr(owner, single):
            # Types with messages of one frame have send() and receive(), but not the forms for several frames.
            advice = _ONE_FRAME
        elif several and hasattr(owner, "send" if name.startswith("send") else "receive"):
            advice = _ONE_BY_ONE
            single = name.replace("_many", "").replace("batches", "receive")
        elif name.startswith("recv") and not hasattr(owner, "receive"):
            advice = _ONLY_SENDS
        elif name.startswith("send_") and not hasattr(owner, "send"):
            advice = _ONLY_RECEIVES
        if "{other}" in advice:
            other, both = _PAIRS[kind]
            advice = advice.replace("{other}", other).replace("{both}", both)
        advice = advice.format(socket=owner.__name__, single=single)
        # If the error has a name and no object, Python adds no suggestion of its own.
        raise AttributeError(f"{owner.__name__} has no {name!r}: {advice}", name=name)

    def __set__(self, instance: object, value: object) -> NoReturn:
        self.__get__(instance, type(instance))


def _shown(cls: type, names: Iterable[str]) -> list[str]:
    """Return those of ``names`` that ``cls`` has."""
    return [name for name in names if not (name in _ADVICE and isinstance(_found(cls, name), _Absent))]


def _found(cls: type, name: str) -> object:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


class SocketType(ABCMeta):
    """The metaclass of socket types: ``dir()`` and ``help()`` of a type list only the names that the type has."""

    def __dir__(cls) -> list[str]:
        return _shown(cls, super().__dir__())

    if not TYPE_CHECKING:  # type checkers find this mistake without help

        async def __aenter__(cls):
            raise TypeError(f"write 'async with mq.{cls.__name__}() as socket:'; the parentheses are missing")

        async def __aexit__(cls, *_):
            raise AssertionError("never entered")


class Explaining(metaclass=SocketType):
    """The base class that raises an AttributeError with advice for absent names.

    Each name is a descriptor of this class, which a subclass with that method overrides. A ``__getattr__`` would make
    CPython find every attribute of an instance more slowly, including those that exist.
    """

    __slots__ = ()

    def __dir__(self) -> list[str]:
        return _shown(type(self), super().__dir__())


for _name, _advice in _ADVICE.items():
    setattr(Explaining, _name, _Absent(_name, _advice))


def explain(name: str) -> NoReturn:
    """Raise an AttributeError that says what to write instead of ``mq.name``."""
    advice = _MODULE_ADVICE.get(name) or next(
        (f"write mq.{each}" for each in _TYPES if each.lower() == name.lower()), None
    )
    raise AttributeError(f"module 'mq' has no attribute {name!r}{f': {advice}' if advice else ''}", name=name)
