"""Why did an actor end? Frozen values that travel in messages."""

import signal as _signal

from attrs import field, frozen

from actors.values.failure import Failure

UNGUARDED = 72  # exit code of a child whose import of the main module starts a tree


@frozen
class Reason:
    """The base of all reasons. `clean` ones do not make a transient child restart."""

    @property
    def clean(self) -> bool:
        return False


@frozen
class Normal(Reason):
    """The actor ended itself, with nothing left to do."""

    @property
    def clean(self) -> bool:
        return True

    def __str__(self) -> str:
        return "ended by itself"


@frozen
class Shutdown(Reason):
    """Its supervisor stopped it."""

    @property
    def clean(self) -> bool:
        return True

    def __str__(self) -> str:
        return "stopped by its supervisor"


@frozen
class Crashed(Reason):
    """A cast, a hook or a background task raised; `failure` holds the exception and its traceback."""

    failure: Failure

    @property
    def exception(self) -> BaseException:
        """The exception itself where it could travel, else a RemoteError that names it."""
        return self.failure.exception()

    def __str__(self) -> str:
        return f"crashed: {self.failure}"


@frozen
class Signal(Reason):
    """The process was ended by a signal."""

    number: int = field(converter=int)

    def __str__(self) -> str:
        known = self.number in {int(one) for one in _signal.Signals}
        return f"ended by {_signal.Signals(self.number).name if known else f'signal {self.number}'}"


@frozen
class Exited(Reason):
    """The process left with an exit code and without a word."""

    code: int

    def __str__(self) -> str:
        return f"left with exit code {self.code}"


@frozen
class Killed(Reason):
    """A task or thread that did not stop in time, or was not to be asked, was cancelled."""

    def __str__(self) -> str:
        return "killed by its supervisor"


@frozen
class Lost(Reason):
    """Nobody can say any more: the supervisor that knew is gone, or the child cannot be reached."""

    detail: str = "no longer reachable"

    def __str__(self) -> str:
        return f"lost: {self.detail}"


@frozen
class StartTimeout(Reason):
    """It was not ready within `seconds`."""

    seconds: float

    def __str__(self) -> str:
        return f"not ready within {self.seconds:g} s"
