"""Which arguments do commands share? Endpoints, socket options and formats; converts their texts to values."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Set
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from ..options import Options, advice_on
from . import formats
from .errors import Misused

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def endpoints(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("endpoints", "at least one; each may be given many times")
    group.add_argument(
        "endpoints", nargs="*", metavar="ENDPOINT",
        help="connect to this endpoint, or bind if @ precedes it: @tcp://*:5555",
    )
    group.add_argument("-b", "--bind", action="append", default=[], metavar="ENDPOINT",
                       help="listen at this endpoint; a resolved wildcard is written to standard error")  # fmt: skip
    group.add_argument("-c", "--connect", action="append", default=[], metavar="ENDPOINT",
                       help="connect to this endpoint")  # fmt: skip


def socket(parser: argparse.ArgumentParser, *, identity: bool = False) -> None:
    group = parser.add_argument_group("the socket")
    group.add_argument("--linger", type=seconds, metavar="SECONDS",
                       help="time without progress after which the final flush gives up (default 5)")  # fmt: skip
    group.add_argument("--hwm", type=whole(0), metavar="N",
                       help="high-water marks: messages in the send queue and receive queue of a peer")  # fmt: skip
    if identity:
        group.add_argument("--identity", metavar="TEXT", help="routing id of this socket, for ROUTER peers")
    group.add_argument("-o", "--option", action="append", default=[], metavar="NAME=VALUE",
                       help="set any option of mq.Options: -o heartbeat_interval=2")  # fmt: skip
    group.add_argument("-v", "--verbose", action="store_true",
                       help="write bound endpoints and events to standard error")  # fmt: skip


def text(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("messages as text")
    group.add_argument("-f", "--format", choices=formats.NAMES, default="lines", help=(
        r"lines (default): a message is a line with unchanged bytes; escaped: a line with \n, \t, \\ and \xNN, for any "
        "bytes; hex: a line of hexadecimal frames with spaces between, - for an empty frame; json: a line with a "
        "string or an array of strings; raw: the whole input is one message, and the output has nothing between "
        "messages"))  # fmt: skip
    group.add_argument("--output-format", choices=formats.NAMES, help="format of written messages, if different")
    group.add_argument("-s", "--separator", metavar="TEXT", help=(
        r"separator between the frames of a message in lines and escaped, such as -s ', ' or -s '\t'; without it, an "
        "input line is one frame, and written frames are joined by a tab"))  # fmt: skip


def whole(minimum: int) -> Callable[[str], int]:
    def parse(given: str) -> int:
        if not given.isascii() or not given.isdigit() or int(given) < minimum:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {minimum}, got {given!r}")
        return int(given)

    return parse


def seconds(given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, 0 or more, got {given!r}")
    return value


def split_endpoint(given: str) -> tuple[bool, str]:
    """Return whether to bind, and the endpoint. The prefix ``@`` means bind; ``>`` or no prefix means connect."""
    return given.startswith("@"), given[1:] if given[:1] in ("@", ">") else given


def separator(given: str | None) -> bytes | None:
    if given is None:
        return None
    try:
        value = formats.unescape(given.encode())
    except ValueError as error:
        raise Misused(f"--separator: {error}") from None
    if not value:
        raise Misused("--separator is empty: give at least one byte, such as -s ','")
    return value


# -- options of sockets ------------------------------------------------------------------------------------


def options(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments for the constructor of a socket."""
    given: dict[str, Any] = {}
    if chosen.linger is not None:
        given["linger"] = chosen.linger
    if chosen.hwm is not None:
        given["send_hwm"] = given["receive_hwm"] = chosen.hwm
    if getattr(chosen, "identity", None) is not None:
        given["routing_id"] = formats.unescape(chosen.identity.encode())
    hints = get_type_hints(Options)
    for each in chosen.option:
        name, equals, value = each.partition("=")
        if not equals:
            raise Misused(f"--option takes NAME=VALUE, got {each!r}")
        if name not in hints:
            raise Misused(f"there is no option {name!r}: {advice_on(name, list(hints))}")
        given[name] = _value(name, hints[name], value)
    return given


def _value(name: str, hint: Any, given: str) -> Any:
    kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if NoneType in kinds and given.lower() == "none":
        return None
    kind = next(each for each in kinds if each is not NoneType)
    try:
        return _READ[get_origin(kind) or kind](given, kind)
    except (ValueError, KeyError):
        raise Misused(f"the option {name} is {_MEANS[get_origin(kind) or kind]}; got {given!r}") from None


def _flag(given: str, _: Any) -> bool:
    if given.lower() not in _TRUE + _FALSE:
        raise ValueError
    return given.lower() in _TRUE


def _parts(given: str) -> list[str]:
    return [part.strip() for part in given.split(",") if part.strip()]


def _tuple(given: str, kind: Any) -> tuple[Any, ...]:
    return tuple(get_args(kind)[0](part) for part in _parts(given))


def _mapping(given: str, _: Any) -> dict[str, str]:
    pairs = [part.partition(":") for part in _parts(given)]
    if not all(colon for _, colon, _ in pairs):
        raise ValueError
    return {name.strip(): value.strip() for name, _, value in pairs}


_MAPPING = get_origin(get_type_hints(Options)["metadata"])
_READ: dict[Any, Callable[[str, Any], Any]] = {
    bool: _flag,
    int: lambda given, _: int(given),
    float: lambda given, _: float(given),
    str: lambda given, _: given,
    bytes: lambda given, _: formats.unescape(given.encode()),
    Set: lambda given, _: frozenset(_parts(given)),
    tuple: _tuple,
    _MAPPING: _mapping,
}
_MEANS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number of seconds, or inf",
    str: "a text",
    bytes: r"a text, with \xNN for bytes that are not text",
    Set: "a list of names separated by commas",
    tuple: "a list of values separated by commas",
    _MAPPING: "a list of X-Name:text pairs separated by commas",
}
