"""What does a supervisor know of one child beside its state? The spec, what it is made of, and what is told of it."""

from __future__ import annotations

import inspect
import math
import sys
from contextlib import suppress
from typing import Any

import trio
from attrs import define, frozen

from actors.codec import importable, pack, pack_arguments, pack_here
from actors.errors import SpecError, StartFailed
from actors.life.actor import Actor
from actors.nodes.node import Node
from actors.nodes.references import Ref
from actors.protocols.orders import Kid, State
from actors.supervision.incarnation import Incarnation
from actors.values.messages import Target
from actors.values.reasons import UNGUARDED, Crashed, Exited, Reason
from actors.values.spec import Spec

MAIN_GUARD = (
    "a new process imports the program's main module, and that started actors again: put the line "
    "if __name__ == \"__main__\": before what the program does when it is run"
)


@frozen
class ChildInfo:
    """One child of a supervisor, as `children()` returns it. `reason`: why its last incarnation ended."""

    name: str
    state: State
    place: str
    restart: str
    restarts: int
    reason: Reason | None
    ref: Ref[Any]


@frozen
class Counts:
    """OTP's count_children: all specs, those alive, and how many of the specs are supervisors or actors."""

    specs: int
    active: int
    supervisors: int
    workers: int


@define(eq=False)
class Slot:
    """A child of a supervisor: its spec stays while incarnations come and go."""

    spec: Spec
    kid: Kid
    target: Target
    node: Node
    payload: list[bytes]
    child: Incarnation | None = None
    shutdown: float = math.inf
    trace: str = ""  # of the last crash that was logged

    @property
    def ref(self) -> Ref[Any]:
        return Ref(self.target, self.node)


class Settling:
    """A start by hand that somebody waits for."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.reason: Reason | None = None

    def settle(self, reason: Reason | None) -> None:
        self.reason = reason
        self.done.set()


def pack_construction(place: str, cls: type[Actor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[bytes]:
    """Pickle the class and its arguments. Raises SpecError for the class, TypeError for an argument."""
    if place == "process" and not _importable_elsewhere(cls):
        raise SpecError(
            f"{cls.__qualname__} cannot run in a process of its own, which has to import it: define it at the top "
            "level of a module, or use place='thread'"
        )
    pack_all = pack if place == "process" else pack_here
    try:
        return pack_all((cls, args, kwargs))
    except Exception:
        with suppress(ValueError):  # a class without a signature
            names = list(inspect.signature(cls).parameters)
            pack_arguments(f"{cls.__name__}()", args, kwargs, names)  # raises and names the argument, if it is one
        raise


def _importable_elsewhere(cls: type[Actor]) -> bool:
    main = sys.modules["__main__"]
    if cls.__module__ == "__main__" and not (getattr(main, "__file__", None) or getattr(main, "__spec__", None)):
        return False  # a shell or a notebook
    return importable(cls)


def start_failed(slot: Slot, reason: Reason) -> StartFailed | SpecError:
    """The error that says why a start by hand failed."""
    if reason == Exited(UNGUARDED):
        return SpecError(MAIN_GUARD)
    error = StartFailed(slot.target.name, reason)
    if isinstance(reason, Crashed):
        error.__cause__ = reason.exception
    return error
