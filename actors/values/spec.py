"""What shall run, where, and what happens when it ends? Frozen values, checked on creation."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import attrs

from actors.errors import SpecError

Place = Literal["task", "thread", "process"]
Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]


def _one_of(names: object) -> Callable[[Any, "attrs.Attribute[Any]", Any], None]:
    allowed = get_args(names)

    def check(_owner: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value not in allowed:
            raise SpecError(f"{attribute.name}={value!r}: expected one of {', '.join(map(repr, allowed))}")

    return check


def _seconds(_owner: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if not good:
        raise SpecError(f"{attribute.name}={value!r}: expected seconds, 0 or more, math.inf for ever")


def _count(least: int) -> Callable[[Any, "attrs.Attribute[Any]", Any], None]:
    def check(_owner: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise SpecError(f"{attribute.name}={value!r}: expected a whole number, {least} or more")

    return check


def _significant(owner: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        raise SpecError(f"{attribute.name}={value!r}: expected True or False")
    if value and owner.restart == "permanent":
        raise SpecError("a permanent child cannot be significant: it never ends by itself")


def _name(_owner: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value or "/" in value):
        raise SpecError(f"{attribute.name}={value!r}: expected a word without '/'")


@attrs.frozen
class Backoff:
    """How long a supervisor waits before it starts a child again.

    The first wait is `initial` seconds, each further one `factor` times longer, never above `maximum`, and
    each is spread by `jitter` (0.1: ten per cent either way). A child that stayed up `healthy` seconds
    begins at `initial` again.
    """

    initial: float = attrs.field(default=0.1, validator=_seconds)
    factor: float = attrs.field(default=2.0, validator=attrs.validators.ge(1))
    maximum: float = attrs.field(default=10.0, validator=_seconds)
    jitter: float = attrs.field(default=0.1, validator=[attrs.validators.ge(0), attrs.validators.le(1)])
    healthy: float = attrs.field(default=10.0, validator=_seconds)


AT_ONCE = Backoff(initial=0.0, maximum=0.0, jitter=0.0)


def _backoff(value: "Backoff | float | None") -> Backoff:
    if value is None:
        return AT_ONCE
    return value if isinstance(value, Backoff) else Backoff(initial=value, maximum=max(value, 10.0))


@attrs.frozen(init=False)
class Child:
    """One child: a class, its constructor's arguments, and the supervisor's orders.

    - `place`: "task" (same thread), "thread" or "process".
    - `name`: unique within the supervisor; by default the class's name in lower case.
    - `restart`: "permanent" always, "transient" unless it ended clean, "temporary" never.
    - `shutdown`: seconds to stop politely before it is killed; 0 kills at once, math.inf waits for ever.
    - `start_timeout`: seconds until it must be ready.
    - `backoff`: a Backoff, or seconds; None restarts at once.
    - `mailbox`: messages that may wait; senders park beyond it.
    - `significant`: its end by itself may end the supervisor, see there; not for permanent children.

    Further keyword arguments go to the class. Raises SpecError.
    """

    cls: type[Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)
    place: Place = attrs.field(default="task", validator=_one_of(Place))
    name: str | None = attrs.field(default=None, validator=_name)
    restart: Restart = attrs.field(default="permanent", validator=_one_of(Restart))
    shutdown: float = attrs.field(default=5.0, validator=_seconds)
    start_timeout: float = attrs.field(default=30.0, validator=_seconds)
    backoff: Backoff = attrs.field(default=AT_ONCE, converter=_backoff)
    mailbox: int = attrs.field(default=1000, validator=_count(1))
    significant: bool = attrs.field(default=False, validator=_significant)

    def __init__(
        self,
        cls: type[Any],
        /,
        *args: Any,
        place: Place = "task",
        name: str | None = None,
        restart: Restart = "permanent",
        shutdown: float = 5.0,
        start_timeout: float = 30.0,
        backoff: Backoff | float | None = None,
        mailbox: int = 1000,
        significant: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(cls, type):
            raise SpecError(f"{cls!r}: expected an Actor class")
        self.__attrs_init__(
            cls, args, kwargs, place, name, restart, shutdown, start_timeout, backoff, mailbox, significant
        )

    @property
    def label(self) -> str:
        return self.name or self.cls.__name__.lower()


@attrs.frozen(init=False)
class Supervisor:
    """A supervisor and its children, started left to right and stopped right to left.

    - `strategy`: which siblings go down and up with a child that ended: "one_for_one" none, "rest_for_one"
      those started after it, "one_for_all" all.
    - `intensity`, `period`: more than `intensity` restarts within `period` seconds end the supervisor with
      RestartsExhausted, which its own supervisor treats as a crash. OTP's defaults: 1 in 5 s.
    - `auto_shutdown`: end in good order when "any_significant" child, or the last of "all_significant" ones,
      has ended by itself and stays down.

    A Supervisor may stand wherever a Child may; the other options mean the same as there.
    """

    children: "tuple[Child | Supervisor, ...]" = ()
    strategy: Strategy = attrs.field(default="one_for_one", validator=_one_of(Strategy))
    intensity: int = attrs.field(default=1, validator=_count(0))
    period: float = attrs.field(default=5.0, validator=_seconds)
    place: Place = attrs.field(default="task", validator=_one_of(Place))
    name: str | None = attrs.field(default=None, validator=_name)
    restart: Restart = attrs.field(default="permanent", validator=_one_of(Restart))
    shutdown: float = attrs.field(default=math.inf, validator=_seconds)
    start_timeout: float = attrs.field(default=math.inf, validator=_seconds)
    backoff: Backoff = attrs.field(default=AT_ONCE, converter=_backoff)
    significant: bool = attrs.field(default=False, validator=_significant)
    auto_shutdown: AutoShutdown = attrs.field(default="never", validator=_one_of(AutoShutdown))

    def __init__(
        self,
        *children: "Child | Supervisor",
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: float = 5.0,
        place: Place = "task",
        name: str | None = None,
        restart: Restart = "permanent",
        shutdown: float = math.inf,
        start_timeout: float = math.inf,
        backoff: Backoff | float | None = None,
        significant: bool = False,
        auto_shutdown: AutoShutdown = "never",
    ) -> None:
        for child in children:
            if not isinstance(child, Child | Supervisor):
                raise SpecError(f"{child!r}: expected a Child or a Supervisor")
        self.__attrs_init__(
            children, strategy, intensity, period, place, name, restart, shutdown, start_timeout, backoff,
            significant, auto_shutdown,
        )  # fmt: skip
        if auto_shutdown == "never" and any(child.significant for child in children):
            raise SpecError("a significant child means nothing to a supervisor with auto_shutdown='never'")
        names = [child.name for child in children if child.name]
        if len(names) != len(set(names)):
            raise SpecError(f"two children of one supervisor have the same name: {', '.join(names)}")

    @property
    def label(self) -> str:
        return self.name or "supervisor"


Spec = Child | Supervisor
