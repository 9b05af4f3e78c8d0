"""Which values may an option have? Validators, whose errors state the expected and the received value."""

from __future__ import annotations

import ipaddress
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import Attribute

from . import limits
from .endpoint import Tcp, parse, why_no_host_name
from .errors import InvalidEndpoint
from .message import shortened


def _check_seconds(name: str, value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (0 <= value <= sys.float_info.max or value == math.inf):  # not NaN, nor an int beyond floats
        raise ValueError(f"{name} is a number of seconds, 0 or more, or math.inf; got {value!r}")


def seconds(_: object, attribute: Attribute[float], value: Any) -> None:
    _check_seconds(attribute.name, value)


def seconds_or_none(_: object, attribute: Attribute[float | None], value: Any) -> None:
    if value is not None:
        _check_seconds(attribute.name, value)


def count(minimum: int, maximum: float = math.inf) -> Any:
    limits = f"of at least {minimum}" if maximum == math.inf else f"from {minimum} to {maximum}"

    def check(_: object, attribute: Attribute[int | None], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise ValueError(f"{attribute.name} is a whole number {limits}; got {value!r}")

    return check


def count_or_none(minimum: int, maximum: float = math.inf) -> Any:
    check = count(minimum, maximum)

    def check_if_given(instance: object, attribute: Attribute[int | None], value: Any) -> None:
        if value is not None:
            check(instance, attribute, value)

    return check_if_given


def flag(_: object, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{attribute.name} is True or False; got {value!r}")


def some_bytes(minimum: int, maximum: int | None = None) -> Any:
    def check(_: object, attribute: Attribute[bytes], value: Any) -> None:
        if not isinstance(value, bytes):
            raise ValueError(f"{attribute.name} is bytes; got {value!r}{_encode(attribute.name, value)}")
        if len(value) < minimum or (maximum is not None and len(value) > maximum):
            raise ValueError(f"{attribute.name} has {minimum} to {maximum} bytes; got {len(value)}")

    return check


def bytes_or_none(_: object, attribute: Attribute[bytes | None], value: Any) -> None:
    if value is not None and not isinstance(value, bytes):
        raise ValueError(f"{attribute.name} is bytes or None; got {value!r}{_encode(attribute.name, value)}")


def _encode(name: str, value: Any) -> str:
    return f": encode it, as in {name}={value!r}.encode()" if isinstance(value, str) else ""


def names(*known: str) -> Any:
    def check(_: object, attribute: Attribute[frozenset[str]], value: Any) -> None:
        if not isinstance(value, frozenset) or not value <= set(known):
            raise ValueError(f"{attribute.name} is a set of {', '.join(map(repr, known))}; got {value!r}")

    return check


def metadata(_: object, attribute: Attribute[Mapping[str, str]], value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{attribute.name} maps names to texts, as in {{'X-Unit': '7'}}; got {value!r}")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise ValueError(f"{attribute.name} maps names to texts; got {name!r}: {text!r}")
        if not name.startswith("X-") or not name.isascii() or len(name) > limits.PROPERTY_NAME:
            raise ValueError(
                f"a name in {attribute.name} begins with 'X-' and has at most {limits.PROPERTY_NAME} ASCII characters; "
                f"got {shortened(name)}, which has {len(name)} characters"
            )
    size = sum(len(name) + len(_utf_8(attribute.name, name, text)) + 5 for name, text in value.items())
    if size > limits.METADATA:
        raise ValueError(
            f"{attribute.name} has {size} bytes in the handshake, but peers accept at most {limits.METADATA}: send "
            "long values in a message"
        )


def _utf_8(option: str, name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"UTF-8 cannot encode the text at {name!r} in {option}: {error.reason}") from None


def as_dict(value: Any) -> Any:
    """Return a copy of a mapping, so that the caller cannot change the option. The validator rejects other values."""
    return dict(value) if isinstance(value, Mapping) else value


def flag_or_none(instance: object, attribute: Attribute[bool | None], value: Any) -> None:
    if value is not None:
        flag(instance, attribute, value)


def finite_seconds_or_none(_: object, attribute: Attribute[float | None], value: Any) -> None:
    if value is not None:
        _check_seconds(attribute.name, value)
        if value == math.inf:
            raise ValueError(
                f"{attribute.name} is a finite number of seconds, or None for the default of the system; got {value!r}"
            )


def _is_short_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and "\0" not in value and 1 <= len(value.encode()) <= 255
    except UnicodeEncodeError:
        return False


def short_text_or_none(_: object, attribute: Attribute[str | None], value: Any) -> None:
    if value is not None and not _is_short_text(value):
        raise ValueError(f"{attribute.name} is a text of 1 to 255 bytes, or None; got {value!r}")


def share(_: object, attribute: Attribute[float], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} is a number from 0 to 1; got {value!r}")


def time_to_live(_: object, attribute: Attribute[float | None], value: Any) -> None:
    if value is not None:
        _check_seconds(attribute.name, value)
        if not 0.1 <= value <= 6553.5:
            raise ValueError(f"{attribute.name} is from 0.1 to 6553.5 seconds, or None; got {value!r}")


def as_frozenset(value: Any) -> Any:
    """Return an iterable of texts as a set. The validator rejects other values."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        value = tuple(value)
        if all(isinstance(each, str) for each in value):
            return frozenset(value)
    return value


def as_tuple(value: Any) -> Any:
    """Return an iterable as a tuple. The validator rejects other values."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else value


def networks(_: object, attribute: Attribute[tuple[str, ...]], value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{attribute.name} is a tuple of networks such as '10.0.0.0/8'; got {value!r}")
    for each in value:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError as error:
            raise ValueError(f"{attribute.name} contains {each!r}, which is not a network: {error}") from None


def numbers(_: object, attribute: Attribute[tuple[int, ...]], value: Any) -> None:
    whole = isinstance(value, tuple) and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
    if not whole or any(each < 0 for each in value):
        raise ValueError(f"{attribute.name} is a tuple of whole numbers, 0 or more; got {value!r}")


def proxy(_: object, attribute: Attribute[str | None], value: Any) -> None:
    if value is None:
        return
    try:
        proxy = parse(f"tcp://{value}" if isinstance(value, str) else "")
    except InvalidEndpoint:
        proxy = None
    if not isinstance(proxy, Tcp) or proxy.host == "*" or not proxy.port:
        raise ValueError(
            f"{attribute.name} is 'host:port', '[ipv6]:port' or 'source:port;host:port', or None; got {value!r}"
        )
    reason = why_no_host_name(proxy.host) if proxy.host.isascii() else None  # other names are encoded by connect
    if reason is not None:
        raise ValueError(f"{attribute.name} {value!r} has the invalid host {proxy.host!r}: {reason}")


def password(instance: Any, attribute: Attribute[str | None], value: Any) -> None:
    if value is not None and not _is_short_text(value):
        raise ValueError(f"{attribute.name} is a text of 1 to 255 bytes, or None; the received value is not shown")
    if value is not None and instance.socks_username is None:
        raise ValueError(f"{attribute.name} is set without socks_username: set both")
