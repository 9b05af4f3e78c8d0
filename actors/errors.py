"""Who must act: the caller, the actor's author, or the operator of the tree."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.values.reasons import Reason


class Error(Exception):
    """The base of everything this package raises on its own account."""


class ActorDied(Error):
    """The actor you waited for ended before it answered; the message may have been handled or not.

    `reason` says why. While its supervisor restarts it the same reference works again; a reference to an
    actor that is down for good raises this at once.
    """

    def __init__(self, reason: Reason, name: str = "") -> None:
        super().__init__(reason, name)
        self.reason = reason
        self.name = name

    def __str__(self) -> str:
        return f"{self.name or 'the actor'} {self.reason}"


class StartFailed(Error):
    """A child did not become ready. The exception it raised, if any, is the __cause__."""

    def __init__(self, name: str, reason: Reason) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name} did not start: {self.reason}"


class RestartsExhausted(Error):
    """A supervisor saw more than `intensity` restarts within `period` seconds and gave up.

    `causes` are the (child, reason) pairs that used up the budget, oldest first.
    """

    def __init__(
        self, name: str, intensity: int, period: float, causes: Sequence[tuple[str, Reason]]
    ) -> None:
        super().__init__(name, intensity, period, tuple(causes))
        self.name = name
        self.intensity = intensity
        self.period = period
        self.causes = tuple(causes)

    def __str__(self) -> str:
        told = "; ".join(f"{child} {reason}" for child, reason in self.causes)
        return f"{self.name}: more than {self.intensity} restarts in {self.period:g} s ({told})"


class NoSuchChild(Error):
    """No child of this supervisor has that name."""


class ChildExists(Error):
    """A child of that name is already there; names are unique within a supervisor."""


class ChildRunning(Error):
    """The child is running (or about to run again); stop it first."""


class SpecError(Error, ValueError):
    """A child or supervisor was described wrongly; nothing was started."""


class UnknownMessage(Error, AttributeError):
    """The actor's class has no public async method of that name."""


class PipelineError(Error):
    """A stage, the sink or the source failed; what it raised is the __cause__.

    `stage` is the stage's name, "sink" or "source"; `item` is what the source gave, `index` its number
    from 0 (None and the number of items read when the source itself failed).
    """

    def __init__(self, stage: str, item: Any, index: int, why: str) -> None:
        super().__init__(stage, item, index, why)
        self.stage = stage
        self.item = item
        self.index = index
        self.why = why

    def __str__(self) -> str:
        if self.stage == "source":
            return f"the source failed after {self.index} items: {self.why}"
        return f"{self.stage} failed on item {self.index} ({reprlib.repr(self.item)}): {self.why}"


class CallCycle(Error):
    """The call could never end: it was made, perhaps by way of others, by the very message its actor is handling.

    `names` are the actors from the first caller to the one that was called again.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(tuple(names))
        self.names = tuple(names)

    def __str__(self) -> str:
        if len(self.names) == 2:
            return (
                f"{self.names[0]} calls itself and would wait for ever, as it handles one message at a time: await "
                "the method directly (self.method()), cast with tell, or mark the called method @actors.concurrent"
            )
        return (
            f"the calls {' -> '.join(self.names)} stand in a circle and would wait for ever, as each actor handles one "
            "message at a time: cast with tell somewhere, or mark the last called method @actors.concurrent"
        )


class RemoteError(Error):
    """Stands for an exception whose own type could not travel; `kind` is that type's name."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class RemoteTraceback(Error):
    """The __cause__ of an exception that came from an actor: the traceback over there, as text."""

    def __init__(self, trace: str) -> None:
        super().__init__(trace)
        self.trace = trace

    def __str__(self) -> str:
        return f'\n"""\n{self.trace}"""'
