"""Where is a socket to be found? The endpoints that it was bound or connected to, and whether anybody was met there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import trio
from attrs import define, field

from .errors import InvalidEndpoint
from .pipe import Pipe


class Listens(Protocol):
    def close(self) -> None: ...


@define(eq=False)
class Place:
    """One call of bind or connect, and the background work that it started."""

    endpoint: str
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    pipe: Pipe | None = None
    listener: Listens | None = None
    farewell: trio.CancelScope | None = None
    """What is sent to it is flushed; then it ends."""


def find(name: str, endpoint: str, how: str, places: Sequence[Place]) -> Place:
    """Return the latest of ``places`` with this ``endpoint``. Raises `InvalidEndpoint`, with those that there are."""
    staying = [place for place in places if place.farewell is None]
    for place in reversed(staying):
        if place.endpoint == endpoint:
            return place
    known = ", ".join(place.endpoint for place in staying) or "nothing"
    raise InvalidEndpoint(f"{name} is not {how} to {endpoint!r}; it is {how} to {known}")


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
