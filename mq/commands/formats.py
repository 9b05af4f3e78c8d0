"""How is a message written as text? As a line, escaped, in hexadecimal, as JSON, or as raw bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from attrs import evolve, frozen

TAB = b"\t"

_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_ESCAPED = re.compile(rb"\\(x[0-9a-fA-F]{2}|.|$)", re.S)
_UNSAFE = re.compile(rb"[^ -\[\]-~]")
_NAMES = {code: name for name, code in _ESCAPES.items()}
_PLAIN_ADDRESS = re.compile(rb"(?!0x)[!-.0-~]+")


@frozen
class Format:
    """Converts messages to text and back. If ``whole`` is set, the whole input is one message."""

    read: Callable[[bytes], list[bytes]]
    write: Callable[[list[bytes]], bytes]
    whole: bool = False


def make(
    name: str, separator: bytes | None, *, output: str | None = None, named: bool = False, once: bool = False
) -> Format:
    """Return a format that reads as the format ``name``, and writes as the format ``output`` if that is given.

    ``separator`` separates frames. Without it, an input line is one frame, and written frames are joined by a tab.
    With ``once``, an input line is split only at its first separator. ``named`` messages begin with routing ids, which
    the format ``lines`` writes as text that can be typed.
    """
    between = TAB if separator is None else separator

    def split(line: bytes) -> list[bytes]:
        return [line] if separator is None else line.split(separator, 1 if once else -1)

    def read_line(line: bytes) -> list[bytes]:
        first, *rest = split(line)
        return [*(read_envelope(first) if named else [first]), *rest]

    def write_line(frames: list[bytes]) -> bytes:
        return between.join(shorten_envelope(frames) if named else frames) + b"\n"

    def read_escaped(line: bytes) -> list[bytes]:
        return [unescape(part) for part in split(line)]

    def write_escaped(frames: list[bytes]) -> bytes:
        return between.join(map(escape, frames)) + b"\n"

    formats = {
        "lines": Format(read_line, write_line),
        "escaped": Format(read_escaped, write_escaped),
        "hex": Format(read_hex, lambda frames: b" ".join(map(show_hex, frames)) + b"\n"),
        "json": Format(read_json, write_json),
        "raw": Format(lambda text: [text], b"".join, whole=True),
    }
    return evolve(formats[name], write=formats[output or name].write)


NAMES = ("lines", "escaped", "hex", "json", "raw")


def unescape(text: bytes) -> bytes:
    r"""Read ``\n``, ``\r``, ``\t``, ``\0``, ``\\`` and ``\xNN``."""

    def character(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if code.startswith(b"x") and len(code) == 3:
            return bytes.fromhex(code[1:].decode())
        if code not in _ESCAPES:
            shown = match[0].decode(errors="backslashreplace")
            raise ValueError(rf"{shown} is no escape: use \n \r \t \0 \\ or \xNN, such as \x7f")
        return _ESCAPES[code]

    return _ESCAPED.sub(character, text)


def escape(frame: bytes) -> bytes:
    """Return ``frame`` as text that `unescape` reads, for any bytes."""
    return _UNSAFE.sub(
        lambda match: b"\\" + (_NAMES.get(match[0]) or b"x%02x" % match[0][0]), frame
    )


def shorten_envelope(frames: list[bytes]) -> list[bytes]:
    """Join the routing ids of ``frames`` into one frame of text.

    A routing id that is text stays as it is, such as ``ann``. Other bytes become hexadecimal, such as
    ``0x00e3c1a45d``. If the envelope ends with an empty frame, as with a REQ or REP peer, all frames of the envelope
    are joined by slashes: ``0x00e3c1a45d/0x0000002a/``.
    """
    first, *rest = frames
    if b"" not in rest[:-1]:
        return [show_address(first), *rest]
    end = rest.index(b"")
    return [b"/".join([show_address(first), *map(show_address, rest[:end]), b""]), *rest[end + 1 :]]


def read_envelope(text: bytes) -> list[bytes]:
    """Return the envelope that `shorten_envelope` wrote as ``text``."""
    return [read_address(part) for part in text.split(b"/")]


def show_address(address: bytes) -> bytes:
    return address if _PLAIN_ADDRESS.fullmatch(address) else b"0x" + address.hex().encode()


def read_address(text: bytes) -> bytes:
    if not text.startswith(b"0x"):
        return text
    try:
        return bytes.fromhex(text[2:].decode())
    except ValueError:
        shown = text.decode(errors="replace")
        raise ValueError(f"{shown!r} is no routing id: write two digits per byte, such as 0x00e3c1a45d") from None


def show_hex(frame: bytes) -> bytes:
    return frame.hex().encode() or b"-"


def read_hex(line: bytes) -> list[bytes]:
    """Read hexadecimal frames that are separated by spaces; ``-`` is an empty frame."""
    try:
        return [b"" if part == b"-" else bytes.fromhex(part.decode()) for part in line.split() or [b"-"]]
    except ValueError:
        text = line.decode(errors="replace")
        raise ValueError(f"{text!r} is not hexadecimal: write two digits per byte, such as '68656c6c6f'") from None


def read_json(line: bytes) -> list[bytes]:
    """Read a JSON string or an array of strings; ``{"hex": "00ff"}`` stands for bytes that are not UTF-8."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    frames = value if isinstance(value, list) else [value]
    if not frames:
        raise ValueError("a message has at least one frame, got []")
    return [_frame_of(each) for each in frames]


def _frame_of(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and value.keys() == {"hex"} and isinstance(value["hex"], str):
        return b"".join(read_hex(value["hex"].encode() or b"-"))
    raise ValueError(
        f"a frame is a JSON string, or {{\"hex\": \"00ff\"}}; got {json.dumps(value)}. "
        "To send JSON text unchanged, use the format 'lines'"
    )


def write_json(frames: list[bytes]) -> bytes:
    """Return a line that `read_json` reads. A message of one frame is a string, others are arrays."""
    values = [_value_of(frame) for frame in frames]
    return json.dumps(values if len(values) > 1 else values[0], ensure_ascii=False).encode() + b"\n"


def _value_of(frame: bytes) -> str | dict[str, str]:
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return {"hex": frame.hex()}
