"""What does one worker of a pipeline's stage do? It applies the stage's function to the items it is given."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import trio

from actors.life.actor import Actor
from actors.values.failure import Failure

Function = Callable[[Any], Any]


_numbers = itertools.count()
_shelf: dict[int, Function] = {}


@attrs.frozen
class Shelved:
    """The number of a function that stays in this process."""

    number: int


@contextmanager
def shelved(function: Function) -> Iterator[Shelved]:
    """Keep a function where the local workers find it, while the block runs."""
    place = Shelved(next(_numbers))
    _shelf[place.number] = function
    try:
        yield place
    finally:
        del _shelf[place.number]


class Worker(Actor):
    """Answers each batch with one outcome per item: (result, None) or (None, Failure)."""

    def __init__(self, function: Function | Shelved) -> None:
        self.function = _shelf[function.number] if isinstance(function, Shelved) else function
        self.awaits = inspect.iscoroutinefunction(self.function)
        self.limiter = trio.CapacityLimiter(1)

    async def run(self, values: list[Any]) -> list[tuple[Any, Failure | None]]:
        """A sync function runs in a thread, so that this worker hears its supervisor meanwhile.

        A thread cannot be stopped: cancelled, the worker leaves it to itself.
        """
        if self.awaits:
            return [await _outcome(self.function, value) for value in values]
        return await trio.to_thread.run_sync(
            _outcomes, self.function, values, abandon_on_cancel=True, limiter=self.limiter
        )


def _outcomes(function: Function, values: list[Any]) -> list[tuple[Any, Failure | None]]:
    outcomes: list[tuple[Any, Failure | None]] = []
    for value in values:
        try:
            outcomes.append((function(value), None))
        except Exception as error:
            outcomes.append((None, Failure.of(error)))
    return outcomes


async def _outcome(function: Function, value: Any) -> tuple[Any, Failure | None]:
    try:
        return await function(value), None
    except Exception as error:
        return None, Failure.of(error)
