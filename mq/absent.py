"""What does a socket say when it is asked for something that it does not have? What to write instead.

A socket that cannot receive has no ``receive``: ``hasattr`` says so, and so do type checkers. The names below are
those that people reach for all the same.
"""

from __future__ import annotations

from typing import NoReturn, TypeVar

C = TypeVar("C", bound=type)

_ONLY_SENDS = "it only sends; receive with the socket at the other end, or use one that does both, such as mq.Pair"
_ONE_FRAME = "its messages are of one frame; write {single}()"
_ONLY_RECEIVES = "it only receives; send with the socket at the other end, or use one that does both, such as mq.Pair"
_OPTION = "options are keyword arguments of the constructor, listed in mq.Options, as in mq.{socket}(linger=1.0)"
_NO_TIMEOUT = "write 'with trio.move_on_after(seconds):' around what may take too long"

_ADVICE = {
    **dict.fromkeys(("receive", "receive_nowait", "receive_multipart", "receive_multipart_nowait"), _ONLY_SENDS),
    **dict.fromkeys(("send", "send_nowait", "send_multipart", "send_multipart_nowait"), _ONLY_RECEIVES),
    "recv": "write 'await socket.receive()'",
    "recv_multipart": "write 'await socket.receive_multipart()'",
    "recv_string": "write '(await socket.receive()).decode()'",
    "send_string": "write 'await socket.send(text.encode())'",
    "recv_json": "write 'json.loads(await socket.receive())'",
    "send_json": "write 'await socket.send(json.dumps(value).encode())'",
    "recv_pyobj": "a message is bytes, and what unpickles them runs what a stranger wrote; see the package actors",
    "send_pyobj": "a message is bytes, and what unpickles them runs what a stranger wrote; see the package actors",
    "poll": f"await receive() itself, or ask receive_nowait(); {_NO_TIMEOUT}",
    "close": "leave its 'async with' block, or write 'await socket.aclose()'",
    "bind_to_random_port": "write 'socket.bind(\"tcp://127.0.0.1:*\")', which returns the endpoint with its port",
    "get_monitor_socket": "write 'async with socket.monitor() as events:'",
    **dict.fromkeys(("get", "set", "getsockopt", "setsockopt", "linger", "hwm", "sndhwm", "rcvhwm"), _OPTION),
    **dict.fromkeys(("sndtimeo", "rcvtimeo"), _NO_TIMEOUT),
}
"""What to do instead, by name: the other direction's methods, then the vocabulary of pyzmq."""


class _Absent:
    """A name that a class does not have, and why. Costs nothing until somebody reaches for it."""

    def __init__(self, name: str, advice: str) -> None:
        self._name = name
        self._advice = advice

    def __get__(self, instance: object, owner: type) -> NoReturn:
        single = self._name.removesuffix("_nowait").removesuffix("_multipart")
        # Types that send and receive one frame at a time have the one and not the other.
        advice = _ONE_FRAME if single != self._name and hasattr(owner, single) else self._advice
        advice = advice.format(socket=owner.__name__, single=single)
        # With a name and no object, Python adds no guess of its own.
        raise AttributeError(f"{owner.__name__} has no {self._name!r}: {advice}", name=self._name)

    def __set__(self, instance: object, value: object) -> NoReturn:
        self.__get__(instance, type(instance))


def explained(cls: C) -> C:
    """Have ``cls`` explain the names that neither it nor a subclass defines."""
    for name, advice in _ADVICE.items():
        setattr(cls, name, _Absent(name, advice))
    return cls
