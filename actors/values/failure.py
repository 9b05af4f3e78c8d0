"""How does an exception travel? As itself where pickle can carry it, with its traceback as text."""

import pickle
import traceback

from attrs import frozen

from actors.errors import RemoteError, RemoteTraceback


@frozen
class Failure:
    """An exception made ready to travel; `pickled` is None where it could not be pickled."""

    kind: str
    message: str
    trace: str
    pickled: bytes | None

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        trace = "".join(traceback.format_exception(error))
        kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        return cls(kind, _text(error), trace, _pickled(error))

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
        except Exception:  # whatever a stranger's constructor raises, its text still arrives
            return None
        return error if isinstance(error, BaseException) else None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its __str__ raised)"


def _pickled(error: BaseException) -> bytes | None:
    try:
        data = pickle.dumps(error, protocol=5)
        pickle.loads(data)
    except Exception:
        return None
    return data
