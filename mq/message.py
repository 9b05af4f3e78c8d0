"""What is a message? ``bytes`` if the message has one frame, and a list of ``bytes`` if it has several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from inspect import isawaitable
from typing import Any, TypeAlias

Message: TypeAlias = bytes | list[bytes]
Buffer: TypeAlias = bytes | bytearray | memoryview

ONLY_BYTES = {bytes}
"""The types of frames that need no conversion."""


class Subscribe(bytes):
    """A command among the messages: the peer subscribes to this topic."""


class Cancel(bytes):
    """A command among the messages: the peer cancels its subscription to this topic."""


class Join(bytes):
    """A command among the messages: the peer joins this group (RFC 48)."""


class Leave(bytes):
    """A command among the messages: the peer leaves this group (RFC 48)."""


def as_frame(value: object) -> bytes:
    """Return ``value`` as an immutable frame. A mutable buffer is copied. Raises TypeError for other types."""
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (list, tuple)):
        what = f"a frame is bytes, got a {type(value).__name__}"
        raise TypeError(f"{what}: for several frames, use send_multipart() or request_multipart() if the socket has it")
    raise TypeError(f"a frame is bytes, got {_described(value)}: {_remedy(value) or 'serialize it first'}")


def as_bytes(value: object, what: str) -> bytes:
    """Return ``value``, which must be bytes. ``what`` names its role: a topic, a group or a routing id."""
    if isinstance(value, bytes):
        return bytes(value)
    name = what.replace(" ", "_")
    remedy = _remedy(value, name, name)
    raise TypeError(f"a {what} is bytes, got {_described(value)}{f': {remedy}' if remedy else ''}")


def as_message(frames: Iterable[Buffer]) -> Message:
    """Return ``frames`` in the inner form: one frame as bytes, several frames as a new list."""
    given = frames.copy() if type(frames) is list else _listed(frames)
    checked: list[bytes] = given if set(map(type, given)) == ONLY_BYTES else list(map(as_frame, given))
    if not checked:
        raise ValueError("a message has at least one frame, got an empty list: send [b''] for an empty message")
    return checked[0] if len(checked) == 1 else checked


def _listed(frames: object) -> list[Any]:
    """Return ``frames`` as a list, if it is an iterable with an order.

    A buffer is iterable too, but would become many frames of one byte each, so a buffer raises TypeError.
    """
    if isinstance(frames, Iterable) and not isinstance(frames, (str, Set, Mapping)) and not _is_buffer(frames):
        return list(frames)
    if isinstance(frames, (bytes, bytearray, memoryview, str)):
        raise TypeError(f"frames must be a list, got {shortened(frames)}: use send() or request() for one frame")
    if _is_buffer(frames):
        remedy = "for one frame, call send() or request() with a copy, as in send(bytes(value))"
    else:
        remedy = _remedy(frames) or "write [frame, ...] with frames of bytes"
    raise TypeError(f"frames must be a list, got {_described(frames)}: {remedy}")


def _described(value: object) -> str:
    if value is None:
        return "None"
    return f"{'the str' if isinstance(value, str) else type(value).__name__} {shortened(value)}"


def _remedy(value: object, name: str = "value", name_of_text: str = "text") -> str:
    """Return how to convert ``value`` to bytes, or "" if that depends on the program.

    ``name`` and ``name_of_text`` stand for the value in the example.
    """
    if isinstance(value, str):
        return f"encode it, as in {name_of_text}.encode()"
    if isawaitable(value):
        return "an 'await' is missing before the call of an async function"
    if _is_buffer(value):
        return f"pass a copy, as in bytes({name})"
    return ""


def _is_buffer(value: object) -> bool:
    """Return whether ``value`` is a block of memory, such as an array or a mapped file."""
    try:
        with memoryview(value):  # type: ignore[arg-type]
            return True
    except TypeError:
        return False
    except (ValueError, BufferError):  # a buffer whose memory is not accessible now, such as a closed mapped file
        return True


def frames_of(message: Message) -> list[bytes]:
    """Return the frames of a message in the inner form."""
    return [message] if isinstance(message, bytes) else message


def message_of(frames: list[bytes]) -> Message:
    """Return the inner form of one or more frames."""
    return frames[0] if len(frames) == 1 else frames


def size_of(message: Any) -> int:
    """Return the bytes in the frames of a message, or in what a pattern has made of it."""
    if isinstance(message, bytes):
        return len(message)
    return sum(len(part) for part in message if isinstance(part, bytes))


def first_frame(message: Message) -> bytes:
    return message if isinstance(message, bytes) else message[0]


def shortened(value: object, limit: int = 40) -> str:
    """Return ``repr(value)`` for an error message, cut to ``limit`` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
