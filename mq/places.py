"""Where is a socket to be found? The endpoints that it was bound or connected to, and whether anybody was met there."""

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
    """One call of bind or connect, and the background work that it started."""

    endpoint: str
    address: Endpoint
    """The endpoint in its canonical spelling."""
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    pipe: Pipe | None = None
    listener: Listens | None = None
    farewell: trio.CancelScope | None = None
    """What is sent to it is flushed; then it ends."""
    told: bool = False
    """The log says that a further connect() to it was ignored."""


def find(name: str, endpoint: str, how: str, places: Sequence[Place]) -> Place:
    """Return the latest of ``places`` that is ``how`` ("bound" or "connected") to ``endpoint``, however it is spelled.

    Raises `InvalidEndpoint`, whose text lists the endpoints that ``places`` are so bound or connected to.
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
    """Return whether one of ``places`` up to ``place`` is being left, and has something to flush yet."""
    for each in places:
        if each is place:
            break
        if each.farewell is not None:
            return True
    return False


def whereabouts(places: Sequence[Place], trouble: Mapping[str, str]) -> str:
    """Say who could come, and why nobody has."""
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
