"""What waits for a subscriber that is away? The messages that it had asked for, until it is back and has asked again.

This is for peers that a publisher connects to. While such a peer is away, its topics stay subscribed, and the messages
for them wait in its outbox, not encoded. When the peer is back, the outbox is withheld until the peer has asked again
for all the topics that it had, or has asked for some of them and then for nothing more for a while. Then the messages
that the peer still wants go out, in order. As long as the peer asks for nothing, the messages wait: libzmq sends its
subscriptions only when its program next uses the socket.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Unpack

import trio
from attrs import define, field

from ..message import Message
from ..options import OptionArguments
from ..pipe import Pipe
from ..reasons import NOT_WANTED_AGAIN, REPLACED, SUBSCRIBER_GONE, Reason
from .fanout import FanOut

_PATIENCE = 1.0
"""Seconds after a request in which a peer that is back sends the next one. Most peers send all of them at once."""


@define(eq=False)
class Absence:
    """A peer that is away, or that is back and has not asked again for all the topics that it had."""

    unasked: dict[bytes, None]
    """The topics that it had, and has not asked for again."""
    asked: dict[bytes, None] = field(factory=dict)
    """The topics that it has asked for since it is back."""
    patience: trio.CancelScope = field(factory=trio.CancelScope)
    over: trio.Event = field(factory=trio.Event)
    """Set when the peer has asked, is away again, or is forgotten."""


class KeepsForAbsent(FanOut):
    """Keep messages for a peer that this socket connects to, up to ``send_hwm``, while that peer is away."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._absent: dict[Pipe, Absence] = {}

    def _count(self, pipes: Iterable[Pipe]) -> int:
        """Return how many of ``pipes`` have a peer that is there, and has asked."""
        return sum(pipe not in self._absent for pipe in pipes)

    # -- what subclasses say -------------------------------------------------------------------------------

    def _asked_by(self, pipe: Pipe) -> Collection[bytes]:
        """Return the topics that the peer of ``pipe`` has asked for."""
        raise NotImplementedError

    def _ask_no_more(self, pipe: Pipe, topics: Iterable[bytes], *, all_of_them: bool) -> None:
        """Unsubscribe the peer of ``pipe`` from ``topics``. If ``all_of_them``, it has asked for no other topic."""
        raise NotImplementedError

    def _wanted_of(self, messages: list[Message], asked: Collection[bytes]) -> list[Message]:
        """Return those of ``messages`` that match the topics which a peer has ``asked`` for."""
        raise NotImplementedError

    def _completed(self, pipe: Pipe, messages: list[Message]) -> list[Message]:
        """Return ``messages``, with those added that every peer gets when it connects and subscribes."""
        return messages

    # -- going and coming back -----------------------------------------------------------------------------

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        pipe.withheld = False
        if pipe.in_process:  # what was sent is the peer's own
            return
        if not pipe.connecting or self.options.immediate:
            self._drop(pipe, len(pipe.outbox), SUBSCRIBER_GONE)
            pipe.outbox.clear()
            return
        self._unwire(pipe)
        absence = self._absent.get(pipe)
        if absence is None:
            self._absent[pipe] = Absence(dict.fromkeys(self._asked_by(pipe)))
        else:
            absence.over.set()
            self._absent[pipe] = Absence(absence.unasked | absence.asked)
        if len(pipe.outbox) >= pipe.outbox.limit and not self.options.conflate:
            self._full(pipe)

    def _unwire(self, pipe: Pipe) -> None:
        """Decode the messages in the outbox of ``pipe``: the next connection may need another encoding."""
        outbox = pipe.outbox
        if pipe.wired:
            pipe.wired = False
            messages = self._messages_of(outbox)  # type: ignore[arg-type]
            outbox.clear()
            outbox.extend(messages)
        if self.options.conflate:
            while len(outbox) > 1:
                outbox.popleft()
                self._drop(pipe, 1, REPLACED)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        absence = self._absent.get(pipe)
        if absence is None:
            return
        if not absence.unasked and not pipe.outbox and not self._wants_unasked:
            self._absent.pop(pipe)
            return
        pipe.wired = False
        pipe.withheld = True
        if self._wants_unasked:
            absence.patience.deadline = trio.current_time() + _PATIENCE
        self._nursery.start_soon(self._wait_for_requests, pipe, absence)

    @property
    def _wants_unasked(self) -> bool:
        """A peer that asks for nothing gets messages all the same."""
        return False

    @trio.lowlevel.enable_ki_protection
    async def _wait_for_requests(self, pipe: Pipe, absence: Absence) -> None:
        with absence.patience:
            await absence.over.wait()
        if not absence.over.is_set():
            self._release(pipe, absence)

    def _note(self, pipe: Pipe, topic: bytes, *, wanted: bool) -> None:
        """Note that a peer has asked for ``topic``, or has cancelled it."""
        absence = self._absent.get(pipe)
        if absence is None or not pipe.withheld:
            return
        if wanted:
            absence.asked[topic] = None
        else:
            absence.asked.pop(topic, None)
        absence.patience.deadline = trio.current_time() + _PATIENCE
        if topic in absence.unasked:
            del absence.unasked[topic]
            if not absence.unasked:
                self._release(pipe, absence)

    def _release(self, pipe: Pipe, absence: Absence) -> None:
        """Send the messages that waited and are still wanted, and drop the others."""
        del self._absent[pipe]
        absence.over.set()
        if not pipe.retired:
            self._ask_no_more(pipe, absence.unasked, all_of_them=not absence.asked)
        outbox = pipe.outbox
        waiting = list(outbox)
        wanted = self._wanted_of(waiting, absence.asked)
        self._drop(pipe, len(waiting) - len(wanted), NOT_WANTED_AGAIN)
        messages = self._completed(pipe, wanted)
        if self.options.conflate:
            messages = messages[-1:]
        pipe.wired = pipe.shares
        outbox.clear()
        outbox.extend(self._wires_of(messages) if pipe.wired else map(_own, messages))
        pipe.withheld = False
        if len(outbox) <= outbox.low:
            outbox.reopen()
        outbox.wake()
        if pipe.progress is not None:
            pipe.progress()
        if pipe.parting:
            pipe.leave(pipe.parting)

    def _forget(self, pipe: Pipe, reason: Reason, detail: str = "") -> None:
        super()._forget(pipe, reason, detail)
        absence = self._absent.pop(pipe, None)
        if absence is not None:
            absence.over.set()


def _own(message: Message) -> Message:
    """Return ``message`` for a receiver within the process, which may change it."""
    return message if isinstance(message, bytes) else message.copy()
