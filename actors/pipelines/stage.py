"""What is a pipeline made of, and what does it tell? Frozen values, checked on creation."""

import pickle
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Literal, get_args

import attrs

from actors.errors import PipelineError, SpecError
from actors.values.spec import Place


@attrs.frozen
class Stage:
    """One step of a pipeline: `function(item) -> result` on `workers` actors.

    - `function`: sync or async. A sync one runs in a thread of its worker. For place="process" it must be
      importable: defined at the top level of a module.
    - `place`: where the workers live, "task", "thread" or "process".
    - `batch`: up to so many items travel together; worth it where one item takes less than a millisecond.
    - `credit`: batches a worker has been given before it answered, so that it need not wait for the next.
    - `name`: for errors; by default the function's name.

    Raises SpecError.
    """

    function: Callable[[Any], Any]
    workers: int = attrs.field(default=1, kw_only=True)
    place: Place = attrs.field(default="task", kw_only=True)
    batch: int = attrs.field(default=1, kw_only=True)
    credit: int = attrs.field(default=2, kw_only=True)
    name: str = attrs.field(kw_only=True)

    @name.default
    def _function_name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def capacity(self) -> int:
        """How many items its workers hold."""
        return self.workers * self.credit * self.batch

    def __attrs_post_init__(self) -> None:
        if not callable(self.function):
            raise SpecError(f"{self.function!r}: expected a function of one item")
        if self.place not in get_args(Place):
            raise SpecError(f"place={self.place!r}: expected one of {', '.join(map(repr, get_args(Place)))}")
        for option in ("workers", "batch", "credit"):
            _whole_number(option, getattr(self, option), 1)
        if self.place == "process":
            try:
                pickle.dumps(self.function)
            except Exception as error:
                raise SpecError(
                    f"{self.function!r} cannot run in a worker process, which has to import it: define it "
                    f"at the top level of a module, or use place='thread' ({error})"
                ) from None


@attrs.frozen(kw_only=True)
class Progress:
    """How far a run is.

    `read` from the source = `delivered` to the sink + `failed` + `in_flight`. `redelivered` counts items
    given to a worker again because the first one died, `duplicates` results dropped because the item
    already had one, `restarts` workers started again.
    """

    read: int
    delivered: int
    failed: int
    in_flight: int
    redelivered: int
    duplicates: int
    restarts: int


@attrs.frozen(kw_only=True)
class Report(Progress):
    """How a run went. `errors` holds the first hundred of the `failed`."""

    errors: tuple[PipelineError, ...] = ()


OnError = Literal["raise", "skip"] | Callable[[PipelineError], Awaitable[None] | None]


@attrs.frozen(kw_only=True)
class Plan:
    """What a Pipeline was asked to do; the fields are its arguments."""

    source: Iterable[Any] | AsyncIterable[Any]
    stages: tuple[Stage, ...]
    sink: Callable[[Any], Any] | None
    ordered: bool
    window: int | None
    on_error: OnError
    progress: Callable[[Progress], None] | None
    redeliveries: int
    intensity: int
    period: float

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.source, Iterable | AsyncIterable):
            raise SpecError(f"source {self.source!r}: expected an iterable or async iterable")
        if not self.stages or not all(isinstance(stage, Stage) for stage in self.stages):
            raise SpecError(f"stages {self.stages!r}: expected one Stage or more")
        if self.sink is not None and not callable(self.sink):
            raise SpecError(f"sink {self.sink!r}: expected a function of one result")
        if self.on_error not in ("raise", "skip") and not callable(self.on_error):
            raise SpecError(f"on_error={self.on_error!r}: expected 'raise', 'skip' or a function")
        if self.window is not None:
            _whole_number("window", self.window, 1)
        _whole_number("redeliveries", self.redeliveries, 0)

    @property
    def room(self) -> int:
        """How many items may be between source and sink."""
        return self.window or 2 * sum(stage.capacity for stage in self.stages)


def _whole_number(option: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SpecError(f"{option}={value!r}: expected a whole number, {least} or more")


def describe(error: BaseException) -> str:
    """The type and the first two hundred letters of what an exception says."""
    text = f"{type(error).__name__}: {error}"
    return text if len(text) <= 200 else text[:199] + "…"
