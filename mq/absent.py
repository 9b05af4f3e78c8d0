"""What does a socket say when it is asked for something that it does not have? What to write instead.

A socket that cannot receive has no ``receive``: ``hasattr`` says so, and so do type checkers. The names below are
those that people reach for all the same.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

_ONLY_SENDS = "it only sends; receive with the mq.{other} at the other end, or take types that do both: {both}"
_ONLY_RECEIVES = "it only receives; send with the mq.{other} at the other end, or take types that do both: {both}"
_ONE_BY_ONE = "its messages are passed one by one; write {single}() in a loop"
_ONE_FRAME = "its messages are of one frame; write {single}()"
_OPTION = "options are keyword arguments of the constructor, listed in mq.Options, as in mq.{socket}(linger=1.0)"
_OPTION_OR_TOPIC = f"{_OPTION}; a topic is subscribed to by subscribe(topic)"
_NO_TIMEOUT = "write 'with trio.move_on_after(seconds):' around what may take too long"
_NO_PICKLE = "a message is bytes, and what unpickles them runs what a stranger wrote; see the package actors"
_SUBSCRIBES = "topics are for mq.Sub; mq.XSub sends b'\\x01' + topic, and mq.Dish has join(group)"
_NO_TYPE = "it is what all types of sockets share; open one of them, such as mq.Pull"
_NOT_YET = "mq does not have it yet; docs/differences.md lists what is missing"

_PAIRS = {
    "PUSH": ("Pull", "mq.Pair"),
    "PULL": ("Push", "mq.Pair"),
    "SCATTER": ("Gather", "mq.Channel"),
    "GATHER": ("Scatter", "mq.Channel"),
    "PUB": ("Sub", "mq.Router and mq.Dealer"),
    "SUB": ("Pub", "mq.Router and mq.Dealer"),
    "RADIO": ("Dish", "mq.Server and mq.Client"),
    "DISH": ("Radio", "mq.Server and mq.Client"),
}
"""By type of socket that goes one way: who is at the other end, and who goes both ways."""

_OPTIONS = ("linger", "hwm", "sndhwm", "rcvhwm", "identity", "routing_id", "router_mandatory", "conflate")

_ADVICE = {
    **dict.fromkeys(("receive", "receive_nowait", "receive_multipart", "receive_multipart_nowait"), _ONLY_SENDS),
    **dict.fromkeys(("send", "send_nowait", "send_multipart", "send_multipart_nowait"), _ONLY_RECEIVES),
    "socket_type": _NO_TYPE,
    **dict.fromkeys(("receive_many", "receive_many_multipart", "batches"), _ONLY_SENDS),
    **dict.fromkeys(("send_many", "send_many_multipart"), _ONLY_RECEIVES),
    # What other types have.
    **dict.fromkeys(("subscribe", "unsubscribe"), _SUBSCRIBES),
    **dict.fromkeys(("join", "leave"), "groups are for mq.Dish; mq.Sub has subscribe(topic)"),
    "wait_subscribed": "mq.Pub and mq.XPub have it: who publishes waits for whoever subscribes",
    "wait_joined": "mq.Radio has it: who sends waits for whoever joins",
    **dict.fromkeys(("request", "request_multipart"), "mq.Req has it, and many tasks may use it at once"),
    "serve": "mq.Rep and mq.Router have it",
    "connect_peer": "mq.Peer has it; elsewhere write connect(endpoint)",
    "disconnect_peer": "it is for types that know their peers by routing id, such as mq.Router and mq.Server",
    # The vocabulary of pyzmq.
    "recv": "write 'await socket.receive()'",
    "recv_multipart": "write 'await socket.receive_multipart()'",
    "recv_string": "write '(await socket.receive()).decode()'",
    "send_string": "write 'await socket.send(text.encode())'",
    "recv_json": "write 'json.loads(await socket.receive())'",
    "send_json": "write 'await socket.send(json.dumps(value).encode())'",
    **dict.fromkeys(("recv_pyobj", "send_pyobj", "recv_serialized", "send_serialized"), _NO_PICKLE),
    "poll": f"await receive() itself, or ask receive_nowait(); {_NO_TIMEOUT}",
    "close": "leave its 'async with' block, or write 'await socket.aclose()'",
    "closed": "a closed socket raises trio.ClosedResourceError; it closes where its 'async with' block ends",
    "context": "there is no context; a socket belongs to its 'async with' block",
    **dict.fromkeys(("fileno", "FD", "EVENTS"), "a socket is many connections; await what you want of it in a task"),
    **dict.fromkeys(("last_endpoint", "LAST_ENDPOINT"), "bind() returns the endpoint, with its port"),
    "bind_to_random_port": "write 'socket.bind(\"tcp://127.0.0.1:*\")', which returns the endpoint with its port",
    **dict.fromkeys(("get_monitor_socket", "disable_monitor"), "write 'async with socket.monitor() as events:'"),
    **dict.fromkeys(("get", "getsockopt", "get_hwm", "set_hwm", "getsockopt_string", "get_string"), _OPTION),
    **dict.fromkeys(("set", "setsockopt", "setsockopt_string", "set_string"), _OPTION_OR_TOPIC),
    **dict.fromkeys(_OPTIONS, _OPTION),
    **dict.fromkeys(map(str.upper, _OPTIONS), _OPTION),
    **dict.fromkeys(("sndtimeo", "rcvtimeo", "SNDTIMEO", "RCVTIMEO"), _NO_TIMEOUT),
}
"""What to do instead, by name: the other direction's methods, those of other types, then the vocabulary of pyzmq."""

_TYPES = ("Pair", "Push", "Pull", "Pub", "Sub", "XPub", "XSub", "Req", "Rep", "Dealer", "Router", "Client", "Server",
          "Peer", "Channel", "Scatter", "Gather", "Radio", "Dish", "Stream")  # fmt: skip

_MODULE_ADVICE = {
    **{name.upper(): f"write 'async with mq.{name}() as socket:'" for name in _TYPES},
    "Context": "there is no context; write 'async with mq.Pull() as socket:'",
    "Poller": "there is no poller; start a task for each socket, in a nursery",
    "asyncio": "mq is for Trio; start with trio.run(main)",
    **dict.fromkeys(("ZMQError", "ZMQBaseError"), "the errors of mq derive from mq.Error; docs/sockets.md lists them"),
    "Again": "what would wait raises trio.WouldBlock, in the forms with _nowait",
    **dict.fromkeys(("NOBLOCK", "DONTWAIT"), "write send_nowait() or receive_nowait()"),
    **dict.fromkeys(("SNDMORE", "RCVMORE"), "write send_multipart(frames) or receive_multipart()"),
    **dict.fromkeys(("SUBSCRIBE", "UNSUBSCRIBE"), "call subscribe(topic) or unsubscribe(topic) on a mq.Sub"),
    **dict.fromkeys(("LINGER", "HWM", "SNDHWM", "RCVHWM", "IDENTITY", "ROUTING_ID"), _OPTION.format(socket="Push")),
    **dict.fromkeys(("RCVTIMEO", "SNDTIMEO"), _NO_TIMEOUT),
    **dict.fromkeys(("device", "proxy_steerable"), "write 'await mq.proxy(frontend, backend)'"),
    **dict.fromkeys(("Dgram", "DGRAM", "auth", "curve_keypair", "curve_public"), _NOT_YET),
}
"""What to do instead of what pyzmq has, by name."""


class _Absent:
    """A name that a class does not have, and why. Costs nothing until somebody reaches for it."""

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
            # Types that send and receive one frame at a time have the one and not the other.
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
        # With a name and no object, Python adds no guess of its own.
        raise AttributeError(f"{owner.__name__} has no {name!r}: {advice}", name=name)

    def __set__(self, instance: object, value: object) -> NoReturn:
        self.__get__(instance, type(instance))


def _shown(cls: type, names: Iterable[str]) -> list[str]:
    """Return those of ``names`` that ``cls`` has."""
    return [name for name in names if not (name in _ADVICE and isinstance(_found(cls, name), _Absent))]


def _found(cls: type, name: str) -> object:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


class SocketType(ABCMeta):
    """The type of socket types, whose ``dir()``, and so ``help()``, lists what they have."""

    def __dir__(cls) -> list[str]:
        return _shown(cls, super().__dir__())

    if not TYPE_CHECKING:  # type checkers know it anyway

        async def __aenter__(cls):
            raise TypeError(f"write 'async with mq.{cls.__name__}() as socket:'; the parentheses are missing")

        async def __aexit__(cls, *_):
            raise AssertionError("never entered")


class Explaining(metaclass=SocketType):
    """Explain the names that no class below this one defines, when somebody uses or sets them.

    The names are descriptors here, and not found by a ``__getattr__``: with that, CPython finds every attribute of an
    instance more slowly, those that exist included.
    """

    __slots__ = ()

    def __dir__(self) -> list[str]:
        return _shown(type(self), super().__dir__())


for _name, _advice in _ADVICE.items():
    setattr(Explaining, _name, _Absent(_name, _advice))


def explain(name: str) -> NoReturn:
    """Say what to write instead of ``mq.name``."""
    advice = _MODULE_ADVICE.get(name) or next(
        (f"write mq.{each}" for each in _TYPES if each.lower() == name.lower()), None
    )
    raise AttributeError(f"module 'mq' has no attribute {name!r}{f': {advice}' if advice else ''}", name=name)
