"""How does an exception travel? As itself where pickle can carry it, with its traceback as text."""

import io
import pickle
import sys
import traceback
from typing import Any

from attrs import field, frozen

from actors.errors import RemoteError, RemoteTraceback


@frozen
class Failure:
    """An exception made ready to travel; `pickled` is None where it could not be pickled."""

    kind: str
    message: str
    trace: str
    pickled: bytes | None = field(repr=False)

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        told = traceback.TracebackException.from_exception(error)
        _trim(told)
        trace = "".join(told.format())
        kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        return cls(kind, _text(error), trace, _pickled(error))

    @property
    def frames(self) -> str:
        """The traceback without the lines that say no more than that it is one, and what was raised."""
        lines = self.trace.rstrip().split("\n")
        if lines[0].startswith("Traceback"):
            del lines[0]
        if lines and lines[-1] == str(self):
            del lines[-1]
        return "\n".join(lines)

    def exception(self) -> BaseException:
        """Rebuild the exception; its __cause__ shows where it was raised over there."""
        error = self._rebuilt() or RemoteError(self.kind, self.message)
        error.__cause__ = RemoteTraceback(self.trace)
        return error

    def _rebuilt(self) -> BaseException | None:
        if self.pickled is None:
            return None
        try:
            error = pickle.loads(self.pickled)
        except KeyboardInterrupt:
            raise
        except BaseException:  # whatever a stranger's constructor raises, its text still arrives
            return None
        return error if isinstance(error, BaseException) else None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


PLUMBING = ("actors", "trio", "outcome", "contextlib")
"""Whose frames say nothing to a user; kept where an exception has no others."""


def _plumbing() -> tuple[str, ...]:
    homes = (getattr(sys.modules.get(name), "__file__", None) or "" for name in PLUMBING)
    return tuple(home.removesuffix("__init__.py") for home in homes if home)


def _trim(told: traceback.TracebackException) -> None:
    """Leave out frames of plumbing, and what was merely cancelled meanwhile."""
    homes, todo, seen = _plumbing(), [told], set[int]()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        own = [frame for frame in one.stack if not frame.filename.startswith(homes)]
        if own:
            one.stack = traceback.StackSummary.from_list(own)
        if one.__context__ is not None and one.__context__.exc_type.__name__ == "Cancelled":
            one.__context__ = None
        todo += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its __str__ raised)"


def _pickled(error: BaseException) -> bytes | None:
    for pickler in (pickle.Pickler, _ExceptionPickler):
        try:
            file = io.BytesIO()
            pickler(file, 5).dump(error)
            again = pickle.loads(file.getvalue())
        except KeyboardInterrupt:
            raise
        except BaseException:  # whatever a __reduce__ or a constructor raises, its text still arrives
            continue
        if type(again) is type(error):
            return file.getvalue()
    return None


class _ExceptionPickler(pickle.Pickler):
    """For exceptions whose constructor asks for other arguments than it passes on: their constructor is not called."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, BaseException) and type(value).__reduce__ in REDUCES:
            return _revive, (type(value), value.args, value.__dict__)
        return NotImplemented


REDUCES = (BaseException.__reduce__, BaseExceptionGroup.__reduce__)


def _revive(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error
