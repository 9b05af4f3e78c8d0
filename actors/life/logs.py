"""How do the log records of a child process reach its supervisor's logging? As data, over the control."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio

from actors.values.messages import Log

BEFORE_CONTROL = 1000  # records that wait until there is a control
STANDARD = frozenset(logging.makeLogRecord({}).__dict__)


def levels() -> dict[str, int]:
    """The levels that are set here, by the name of the logger; "" is the root's."""
    known = logging.root.manager.loggerDict.items()
    return {
        "": logging.root.level,
        **{name: one.level for name, one in known if isinstance(one, logging.Logger) and one.level},
    }


class Forward(logging.Handler):
    """Hands records to the supervisor's logging, from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._token: trio.lowlevel.TrioToken | None = None
        self._say: Callable[[Log], None] = lambda _record: None
        self._waiting: list[Log] = []
        self._busy = threading.local()

    def connect(self, say: Callable[[Log], None]) -> None:
        """From now on records go to `say`, in this run's thread."""
        self._token = trio.lowlevel.current_trio_token()
        self._say = say
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            say(record)

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(self._busy, "now", False):
            return  # logged by the sending itself
        self._busy.now = True
        try:
            self._send(Log(_plain(record, self.format(record))))
        finally:
            self._busy.now = False

    def _send(self, record: Log) -> None:
        if self._token is None:
            if len(self._waiting) < BEFORE_CONTROL:
                self._waiting.append(record)
            return
        with suppress(RuntimeError):
            if trio.lowlevel.current_trio_token() is self._token:
                self._say(record)
                return
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._say, record)


def _plain(record: logging.LogRecord, text: str) -> dict[str, Any]:
    """A record as plain values: its text is made here, where its arguments are."""
    fields = {
        name: value
        for name, value in record.__dict__.items()
        if isinstance(value, str | int | float | bool | None) and name not in ("msg", "args")
    }
    message, _, rest = text.partition("\n") if record.exc_info or record.stack_info else (text, "", "")
    return {**fields, "msg": message, "args": None, "exc_info": None, "exc_text": rest or None, "stack_info": None}


def forward_all(known: dict[str, int]) -> Forward:
    """Make this process log as its supervisor's process does, and by it."""
    forward = Forward()
    logging.root.handlers[:] = [forward]
    for name, level in known.items():
        logging.getLogger(name or None).setLevel(level)
    return forward


def replay(log: Log, actor: str) -> None:
    """Log a child's record here; `record.actor` is the actor's path, and `record.process` the child's pid."""
    record = logging.makeLogRecord({"actor": actor, **log.record})
    logger = logging.getLogger(record.name if record.name != "root" else None)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
