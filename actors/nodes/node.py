"""Who waits for what? One per run: sends calls, sorts the answers, and hears of deaths."""

from __future__ import annotations

import itertools
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import outcome
import trio
from attrs import Factory, define

from actors import carrier, scopes
from actors.codec import decode, encode, unpack
from actors.errors import ActorDied
from actors.nodes import references
from actors.nodes.board import Board
from actors.nodes.references import Ref
from actors.values.messages import (
    Address,
    Call,
    Cancel,
    Cast,
    Credit,
    Down,
    End,
    Find,
    Item,
    Message,
    Raised,
    Reply,
    Up,
    Watch,
)  # fmt: skip
from actors.values.reasons import Lost, Reason

EARLY_CANCELS = 1024


class Waiting(Protocol):
    """Something that hears the answers to one call."""

    generation: int

    def hear(self, message: Reply | Raised | Item | End, payload: list[bytes]) -> None: ...

    def died(self, error: ActorDied) -> None: ...


class Served(Protocol):
    """A call that an actor of this run is answering."""

    def cancel(self) -> None: ...

    def credit(self, items: int) -> None: ...


@define(eq=False)
class Peer:
    """An actor as this node knows it."""

    ref: Ref[Any]
    generation: int = 0
    node: Address = ""
    final: Reason | None = None
    known: trio.Event = Factory(trio.Event)
    waiting: dict[int, Waiting] = Factory(dict)
    cancelled: list[int] = Factory(list)
    mourners: set[trio.MemorySendChannel[Down]] = Factory(set)

    def died(self, reason: Reason) -> ActorDied:
        return ActorDied(reason, self.ref.name)


class Answer:
    """The answer to one call, and the task that waits for it."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self._task: trio.lowlevel.Task | None = None
        self._outcome: outcome.Outcome[Any] | None = None
        self.scope: trio.CancelScope | None = None

    def hear(self, message: Reply | Raised | Item | End, payload: list[bytes]) -> None:
        self._set(outcome.Value((message, payload)))

    def died(self, error: ActorDied) -> None:
        self._set(outcome.Error(error))
        if self.scope is not None:
            self.scope.cancel()

    def _set(self, result: outcome.Outcome[Any]) -> None:
        if self._outcome is None:
            self._outcome = result
            if self._task is not None:
                task, self._task = self._task, None
                trio.lowlevel.reschedule(task, outcome.Value(None))

    async def wait(self) -> tuple[Message, list[bytes]]:
        if self._outcome is None:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        assert self._outcome is not None
        result: tuple[Message, list[bytes]] = self._outcome.unwrap()
        return result

    def _abort(self, _raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Node:
    """The place in one run where answers, announcements and cancellations arrive."""

    def __init__(self, directory: str, name: str, nursery: trio.Nursery) -> None:
        self.directory = directory
        self.address: Address = f"{directory}/{name}"
        self.board = Board(self._tell)
        self.serving: dict[int, Served] = {}
        self._early: OrderedDict[int, None] = OrderedDict()
        self._mail = carrier.Outlets(nursery, hwm=1000, lasting=True)
        self._nodes = carrier.Outlets(nursery, hwm=carrier.NODE_HWM, lasting=False)
        self._peers: dict[str, Peer] = {}
        self._questions: dict[int, Answer] = {}
        self._ids = itertools.count(secrets.randbits(63) << 32)
        self._token = trio.lowlevel.current_trio_token()
        self._open = True
        self._actions: dict[type[Any], Callable[[Any, list[bytes]], None]] = {
            Reply: self._answer, Raised: self._answer, Item: self._answer, End: self._answer,
            Up: self._up, Down: self._down, Watch: self._watch, Find: self._find,
            Cancel: self._cancel, Credit: self._credit,
        }  # fmt: skip

    # -- calling

    async def meet(self, target: Ref[Any]) -> Peer:
        """Learn how an actor is, and hear of it from now on. Raises ActorDied if it is down for good."""
        if not self._open:
            raise trio.ClosedResourceError(f"the block in which {target.name} was reached has ended")
        peer = self._peers.get(target.uid)
        if peer is None:
            peer = self._peers[target.uid] = Peer(target)
            self.tell(target.lineage[0][1], Watch(target.uid, self.address))
            for (uid, _), (_, home) in itertools.pairwise(target.lineage):
                self._watch_supervisor(uid, home)
        elif not peer.ref.name:
            peer.ref = target  # watched so far only because its children are
        if not peer.known.is_set():
            await peer.known.wait()
        if peer.final is not None:
            raise peer.died(peer.final)
        return peer

    def _watch_supervisor(self, uid: str, home: Address) -> None:
        if uid not in self._peers:
            self._peers[uid] = Peer(Ref.to_supervisor(uid))
            self.tell(home, Watch(uid, self.address))

    async def call(self, target: Ref[Any], method: str, payload: list[bytes]) -> Any:
        """Send a call and wait for its answer; being cancelled cancels it over there."""
        peer = await self.meet(target)
        answer = Answer(peer.generation)
        id = next(self._ids)
        peer.waiting[id] = self._questions[id] = answer
        try:
            frames = encode(Call(id, method, peer.generation, self.address), payload)
            await self._send(target, frames, answer)
            message, result = await answer.wait()
        except trio.Cancelled:
            self.cancel(peer, id)
            raise
        finally:
            peer.waiting.pop(id, None)
            self._questions.pop(id, None)
        if isinstance(message, Raised):
            raise message.failure.exception()
        return self.unpack(result)

    async def _send(self, target: Ref[Any], frames: list[bytes], answer: Answer) -> None:
        try:
            self._mail.send_nowait(target.mailbox, frames)
        except trio.WouldBlock:
            with trio.CancelScope() as answer.scope:
                await self._mail.send(target.mailbox, frames)

    async def cast(self, target: Ref[Any], method: str, payload: list[bytes]) -> None:
        """Send a message that has no answer; returns once the mailbox has room for it."""
        peer = await self.meet(target)
        answer = Answer(peer.generation)
        id = next(self._ids)
        peer.waiting[id] = answer
        try:
            await self._send(target, encode(Cast(method), payload), answer)
            if answer.scope is not None and answer.scope.cancelled_caught:
                await answer.wait()
        finally:
            peer.waiting.pop(id, None)

    async def stream(
        self, target: Ref[Any], method: str, payload: list[bytes], window: int, make: Callable[[Peer, int], Waiting]
    ) -> None:
        """Ask for a stream; `make` gets the peer and the call's id and returns who hears the items."""
        peer = await self.meet(target)
        id = next(self._ids)
        waiting = make(peer, id)
        peer.waiting[id] = self._questions[id] = waiting  # type: ignore[assignment]
        frames = encode(Call(id, method, peer.generation, self.address, window), payload)
        try:
            await self._send(target, frames, Answer(peer.generation))
        except BaseException:
            self.hang_up(peer, id)
            raise

    def hang_up(self, peer: Peer, id: int, cancel: bool = True) -> None:
        """Hear no more answers to this call."""
        peer.waiting.pop(id, None)
        if self._questions.pop(id, None) is not None and cancel:
            self.cancel(peer, id)

    def cancel(self, peer: Peer, id: int) -> None:
        if peer.node:
            self.tell(peer.node, Cancel(id))
        else:
            peer.cancelled.append(id)

    def tell(self, address: Address, message: Message) -> None:
        """Send to another node without waiting; "" is where an actor is that is down."""
        if address:
            self.post(address, encode(message))

    _tell = tell

    def post(self, address: Address, frames: list[bytes]) -> None:
        if self._open:
            self._nodes.post(address, frames)

    async def find(self, supervisor: str, home: Address, name: str) -> Ref[Any] | None:
        """Ask a supervisor for one of its children."""
        id = next(self._ids)
        answer = self._questions[id] = Answer(0)
        try:
            self.tell(home, Find(id, supervisor, name, self.address))
            _, payload = await answer.wait()
        finally:
            del self._questions[id]
        found: Ref[Any] | None = self.unpack(payload)
        return found

    def unpack(self, payload: list[bytes]) -> Any:
        """Load a payload; references in it belong to this node from now on."""
        with references.arriving_at(self):
            return unpack(payload)

    # -- what arrives

    async def read(self, inbox: Any) -> None:
        while True:
            message, payload = decode(await inbox.receive_multipart())
            self._actions[type(message)](message, payload)

    def _answer(self, message: Reply | Raised | Item | End, payload: list[bytes]) -> None:
        waiting = self._questions.get(message.id)
        if waiting is not None:
            waiting.hear(message, payload)

    def _up(self, message: Up, _payload: list[bytes]) -> None:
        peer = self._peers.get(message.uid)
        if peer is None:
            return
        peer.generation, peer.node, peer.final = message.generation, message.node, None
        peer.known.set()
        if peer.node:
            for id in peer.cancelled:
                self.tell(peer.node, Cancel(id))
            peer.cancelled.clear()
            for below in self._peers.values():
                if not below.known.is_set() and below.ref.lineage[:1] == ((message.uid, message.node),):
                    self.tell(message.node, Watch(below.ref.uid, self.address))

    def _down(self, message: Down, _payload: list[bytes]) -> None:
        peer = self._peers.get(message.uid)
        if peer is None or (not message.following and self._may_come(peer)):
            return
        self._bury(peer, message)
        for below in list(self._peers.values()):
            if any(uid == message.uid for uid, _ in below.ref.lineage):
                lost = Lost(f"its supervisor {message.reason}")
                self._bury(below, Down(below.ref.uid, below.generation, 0, lost, final=True))

    def _may_come(self, peer: Peer) -> bool:
        """Will its supervisor, once it is up, know better than it does now?"""
        above = self._peers.get(peer.ref.lineage[0][0]) if peer.ref.lineage else None
        return above is not None and not above.node

    def _bury(self, peer: Peer, down: Down) -> None:
        peer.generation, peer.node = down.following, ""
        peer.final = down.reason if down.final else None
        for id, waiting in list(peer.waiting.items()):
            if down.final or waiting.generation <= down.generation:
                peer.waiting.pop(id, None)
                waiting.died(peer.died(down.reason))
        if down.final:  # it may still come back, by hand or with its supervisor: then ask anew
            self._mail.drop(peer.ref.mailbox)
            self._peers.pop(peer.ref.uid, None)
        for mourner in list(peer.mourners):
            mourner.send_nowait(down)
        peer.known.set()

    def _watch(self, message: Watch, _payload: list[bytes]) -> None:
        self.board.watch(message.uid, message.watcher)

    def _find(self, message: Find, _payload: list[bytes]) -> None:
        from_board = self.board.find(message.uid, message.name)
        self.post(message.caller, encode(Reply(message.id), references.pack_one(from_board)))

    def _cancel(self, message: Cancel, _payload: list[bytes]) -> None:
        served = self.serving.get(message.id)
        if served is not None:
            served.cancel()
            return
        self._early[message.id] = None  # it overtook its call
        if len(self._early) > EARLY_CANCELS:
            self._early.popitem(last=False)

    def cancelled_early(self, id: int) -> bool:
        """Was this call taken back before it was read?"""
        return bool(self._early) and self._early.pop(id, id) is None

    def _credit(self, message: Credit, _payload: list[bytes]) -> None:
        served = self.serving.get(message.id)
        if served is not None:
            served.credit(message.items)

    def soon(self, function: Callable[[], None]) -> None:
        """Run a function in this node's thread, from any."""
        if self._open:
            self._token.run_sync_soon(function)

    def close(self) -> None:
        """Fail what still waits and let the outlets flush."""
        for peer in self._peers.values():
            for waiting in list(peer.waiting.values()):
                waiting.died(peer.died(Lost("this block has ended")))
        self._mail.close()
        self._nodes.close()
        self._open = False


@asynccontextmanager
async def open_node(directory: str, name: str) -> AsyncIterator[Node]:
    """A node for this run; leaving flushes what it still has to say."""
    async with scopes.open_nursery() as outlets:
        node = Node(directory, name, outlets)
        async with carrier.open_inbox(node.address, carrier.NODE_HWM) as inbox, scopes.open_nursery() as reader:
            reader.start_soon(node.read, inbox)
            try:
                yield node
            finally:
                node.close()
                reader.cancel_scope.cancel()
