"""Which endpoints has a socket? The endpoints of bind and connect, and why a peer is not reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import trio
from attrs import define, field

from .endpoint import Endpoint, canonical, parse
from .errors import InvalidEndpoint
from .pipe import Pipe


class Listens(Protocol):
    def close(self) -> None: ...


@define(eq=False)
class Place:
    """One call of bind or connect, and its background work."""

    endpoint: str
    address: Endpoint
    """The endpoint in its canonical spelling."""
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    pipe: Pipe | None = None
    listener: Listens | None = None
    farewell: trio.CancelScope | None = None
    """Set while the messages for the endpoint are flushed after unbind or disconnect; its end ends the flushing."""
    told: bool = False
    """The log has said that a further connect() to the endpoint was ignored."""


def find(name: str, endpoint: str, how: str, places: Sequence[Place]) -> Place:
    """Return the latest of ``places`` that is ``how`` ("bound" or "connected") to ``endpoint``, in any spelling.

    Raises `InvalidEndpoint`, whose text lists the endpoints of ``places`` that are bound or connected.
    """
    staying = [place for place in places if place.farewell is None]
    fitting = [place for place in staying if (place.listener is not None) == (how == "bound")]
    advice = ""
    with suppress(InvalidEndpoint):
        address = canonical(parse(endpoint))
        for place in reversed(fitting):
            if place.address == address:
                return place
        if any(place.address == address for place in staying):
            advice = "; it is connected there: call disconnect()" if how == "bound" else "; it is bound: call unbind()"
    known = ", ".join(place.endpoint for place in fitting) or "nothing"
    raise InvalidEndpoint(f"{name} is not {how} to {endpoint!r}; it is {how} to {known}{advice}")


def leaving_before(place: Place, places: Iterable[Place]) -> bool:
    """Return whether one of ``places`` before ``place`` still flushes after unbind or disconnect."""
    for each in places:
        if each is place:
            break
        if each.farewell is not None:
            return True
    return False


def whereabouts(places: Sequence[Place], trouble: Mapping[str, str]) -> str:
    """Return for each endpoint why no peer is connected. ``trouble`` maps endpoints to the last reason."""
    if not places:
        return "the socket has no endpoint; call bind() or connect() on it"
    said = []
    for place in places:
        why = trouble.get(place.endpoint)
        if place.listener is not None:
            said.append(f"nobody has connected to {place.endpoint}{f' ({why})' if why else ''}")
        else:
            said.append(f"{place.endpoint} is not reached: {why or 'no answer yet'}")
    return "; ".join(said)
