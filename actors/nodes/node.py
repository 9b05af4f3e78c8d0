"""How does a message get there? One node per run: it sends calls, sorts what arrives, and hears of deaths."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import trio

from actors import carrier, scopes
from actors.codec import decode, encode, unpack
from actors.nodes import references
from actors.nodes.peers import Answer, Peer, Waiting
from actors.nodes.references import Ref
from actors.nodes.turns import waiting
from actors.protocols.presence import Board, News
from actors.values.messages import (
    Address,
    Announce,
    Call,
    Cancel,
    Cast,
    Credit,
    Down,
    End,
    Find,
    Item,
    Left,
    Lineage,
    Message,
    Raised,
    Reply,
    Room,
    Target,
    Up,
    Watch,
)  # fmt: skip
from actors.values.reasons import Lost


class Served(Protocol):
    """A call that an actor of this run has been given."""

    def cancel(self) -> None: ...

    def credit(self, items: int) -> None: ...


class Mailbox(Protocol):
    """Where the messages for one incarnation wait."""

    generation: int

    def put(self, message: Call | Cast, payload: list[bytes]) -> None: ...


class Node:
    """The place in one run where everything arrives."""

    def __init__(self, directory: str, address: Address, root: str, nursery: trio.Nursery) -> None:
        self.directory = directory
        self.address = address
        self.mailboxes: dict[str, Mailbox] = {}
        self.serving: dict[int, Served] = {}
        self.open = True
        # The board of the tree is held by the root's node.
        self.board = Board(root, self.tell, self._found) if root else None
        self._outlets = carrier.Outlets(nursery, carrier.NODE_HWM, self._lost)
        self._peers: dict[str, Peer] = {}
        self._questions: dict[int, Waiting] = {}
        self._ids = itertools.count(secrets.randbits(63) << 32)
        self.token = trio.lowlevel.current_trio_token()
        self._actions: dict[type[Any], Callable[[Any, list[bytes]], None]] = {
            Call: self._deliver, Cast: self._deliver,
            Reply: self._answer, Raised: self._answer, Item: self._answer, End: self._answer,
            Up: self._up, Down: self._down, Room: self._room, Cancel: self._cancel, Credit: self._credit,
            Watch: self._watch, Find: self._find, Left: self._left, Announce: self._announce,
        }  # fmt: skip

    # -- calling

    async def meet(self, target: Target) -> Peer:
        """Learn how an actor is, and hear of it from now on. Raises ActorDied if it is down for good."""
        if not self.open:
            raise trio.ClosedResourceError(f"the block in which {target.name} was reached has ended")
        peer = self._peers.get(target.uid)
        if peer is None:
            peer = self._peers[target.uid] = Peer(target.name, target.uid, target.board)
            self.tell(target.board, Watch(target.uid, target.generation, target.lineage, self.address))
        if not peer.known:
            await peer.changed.park()
        if peer.final is not None:
            raise peer.died(peer.final)
        return peer

    async def _reach(self, target: Target) -> Peer:
        """Wait until the actor serves and its mailbox has room for one more message, which is then taken."""
        peer = self._peers.get(target.uid)
        if peer is None or not peer.known or not self.open:
            peer = await self.meet(target)
        while not peer.node:
            await peer.changed.park()
            if peer.final is not None:
                raise peer.died(peer.final)
        if peer.room <= 0:
            generation = peer.generation
            while peer.room <= 0:
                await peer.roomy.park()
                if peer.generation != generation:
                    raise peer.died(peer.last or Lost())
        peer.room -= 1
        return peer

    async def call(self, target: Target, method: str, payload: list[bytes]) -> Any:
        """Send a call and wait for its answer; being cancelled cancels it over there."""
        peer = await self._reach(target)
        id, answer = next(self._ids), Answer()
        peer.waiting[id] = self._questions[id] = answer
        try:
            self.send(peer.node, Call(id, peer.uid, peer.generation, method, self.address, 0, waiting()), payload)
            message, result = await answer.wait()
        except trio.Cancelled:
            self.tell(peer.node, Cancel(id))
            raise
        finally:
            peer.waiting.pop(id, None)
            self._questions.pop(id, None)
        if isinstance(message, Raised):
            raise message.failure.exception()
        return self.unpack(result)

    async def cast(self, target: Target, method: str, payload: list[bytes]) -> None:
        """Send a message that has no answer; returns once the mailbox has room for it."""
        await trio.lowlevel.checkpoint_if_cancelled()
        peer = await self._reach(target)
        self.send(peer.node, Cast(peer.uid, peer.generation, method, self.address), payload)

    async def stream(
        self, target: Target, method: str, payload: list[bytes], window: int, make: Callable[[Peer, int], Waiting]
    ) -> None:
        """Ask for a stream; `make` gets the peer and the call's id and returns the object that hears the items."""
        peer = await self._reach(target)
        id = next(self._ids)
        peer.waiting[id] = self._questions[id] = make(peer, id)
        self.send(peer.node, Call(id, peer.uid, peer.generation, method, self.address, window, waiting()), payload)

    def hang_up(self, peer: Peer, id: int, cancel: bool = True) -> None:
        """Hear no more answers to this call."""
        peer.waiting.pop(id, None)
        if self._questions.pop(id, None) is not None and cancel:
            self.tell(peer.node, Cancel(id))

    async def find(self, lineage: Lineage, board: Address, name: str) -> Ref[Any] | None:
        """Ask the board for the nearest actor of this name, seen from the first of `lineage`."""
        id, answer = next(self._ids), Answer()
        self._questions[id] = answer
        try:
            self.tell(board, Find(id, lineage, name, self.address))
            _, payload = await answer.wait()
        finally:
            del self._questions[id]
        found: Ref[Any] | None = self.unpack(payload) if payload[0] else None
        return found

    def unpack(self, payload: list[bytes]) -> Any:
        """Load a payload; references in it belong to this node from now on."""
        with references.arriving_at(self):
            return unpack(payload)

    # -- sending

    def send(self, address: Address, message: Message, payload: list[bytes]) -> None:
        """Send to a node without waiting; what is for this node needs no wire. "" is the node of what is down."""
        if address == self.address:
            self._actions[type(message)](message, payload)
        elif address and self.open:
            self._outlets.post(address, encode(message, payload))

    def tell(self, address: Address, message: Message) -> None:
        self.send(address, message, [])

    def announce(self, board: Address, lineage: Lineage, news: News) -> None:
        """Tell the board what has become of a child of the supervisor that `lineage` begins with."""
        self.tell(board, Announce(lineage, news))

    def soon(self, function: Callable[[], None]) -> None:
        """Run a function in this node's thread, from any."""
        if self.open:
            self.token.run_sync_soon(function)

    # -- what arrives

    async def read(self, inbox: Any) -> None:
        while True:
            message, payload = decode(await inbox.receive_multipart())
            self._actions[type(message)](message, payload)

    def _deliver(self, message: Call | Cast, payload: list[bytes]) -> None:
        mailbox = self.mailboxes.get(message.uid)
        # Not there any more: its sender hears of its death.
        if mailbox is not None and mailbox.generation == message.generation:
            mailbox.put(message, payload)

    def _answer(self, message: Reply | Raised | Item | End, payload: list[bytes]) -> None:
        waiting = self._questions.get(message.id)
        if waiting is not None:
            waiting.hear(message, payload)

    def _cancel(self, message: Cancel, _payload: list[bytes]) -> None:
        served = self.serving.get(message.id)
        if served is not None:
            served.cancel()

    def _credit(self, message: Credit, _payload: list[bytes]) -> None:
        served = self.serving.get(message.id)
        if served is not None:
            served.credit(message.items)

    def _room(self, message: Room, _payload: list[bytes]) -> None:
        peer = self._peers.get(message.uid)
        if peer is not None and peer.generation == message.generation:
            peer.more(message.messages)

    def _up(self, message: Up, _payload: list[bytes]) -> None:
        peer = self._peers.get(message.uid)
        if peer is not None:
            peer.up(message)

    def _down(self, message: Down, _payload: list[bytes]) -> None:
        peer = self._peers.get(message.uid)
        if peer is None:
            return
        if message.final:  # it may still come back, by hand or with its supervisor: then ask anew
            del self._peers[message.uid]
        for id in peer.down(message):
            self._questions.pop(id, None)

    # -- the board's

    def _watch(self, message: Watch, _payload: list[bytes]) -> None:
        if self.board is not None:
            self.board.watch(message)

    def _find(self, message: Find, _payload: list[bytes]) -> None:
        if self.board is not None:
            self.board.find(message)

    def _found(self, question: Find, about: bytes) -> None:
        self.send(question.caller, Reply(question.id), [about])

    def _left(self, message: Left, _payload: list[bytes]) -> None:
        if self.board is not None:
            self.board.forget(message.node)

    def _announce(self, message: Announce, _payload: list[bytes]) -> None:
        if self.board is not None:
            self.board.announce(message.lineage, message.news)

    # -- ends

    def _lost(self, address: Address) -> None:
        """A node does not answer any more. If it held a board, that tree has ended."""
        if self.board is not None:
            self.board.forget(address)
        self._end_of_tree(address, Lost("its tree has ended"))

    def _end_of_tree(self, board: Address | None, reason: Lost) -> None:
        for peer in list(self._peers.values()):
            if board is None or peer.board == board:
                self._down(Down(peer.uid, peer.generation, 0, reason, final=True), [])

    def close(self) -> None:
        """Fail what still waits and let the outlets flush."""
        for board in {peer.board for peer in self._peers.values()}:
            if board != self.address:
                self.tell(board, Left(self.address))
        self._end_of_tree(None, Lost("this block has ended"))
        self.open = False
        self._outlets.close()


@asynccontextmanager
async def open_node(directory: str, address: Address, root: str = "") -> AsyncIterator[Node]:
    """A node for this run, with the board of the tree of `root`, if given; leaving flushes what it still has to say."""
    async with scopes.open_nursery() as outlets:
        node = Node(directory, address, root, outlets)
        async with carrier.open_inbox(node.address, carrier.NODE_HWM) as inbox, scopes.open_nursery() as reader:
            reader.start_soon(node.read, inbox)
            try:
                with references.at_home(node):
                    yield node
            finally:
                node.close()
                reader.cancel_scope.cancel()
