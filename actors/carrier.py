"""How does a message get there? The one module that knows mq: mailboxes, outlets and control PAIRs.

An address is "directory/name". Whatever is bound is bound twice, on inproc for this process and on ipc, in
a directory only this user can enter, for the others.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import trio
from attrs import Factory, define

import mq
from actors.codec import decode, encode
from actors.scopes import open_nursery
from actors.values.messages import Address, Message

log = logging.getLogger("actors")

# mq reconnects ipc; a restarted actor is back within milliseconds, so look often.
RECONNECT, RECONNECT_MAX = 0.002, 0.1
LINGER = 1.0
# What travels to a node is bounded by its own pending calls and credit; this only catches a stuck process.
NODE_HWM = 100_000

_bound_here: dict[Address, int] = {}


def endpoint(address: Address) -> str:
    """inproc if the address is bound in this process, else ipc."""
    return f"inproc://{address}" if address in _bound_here else f"ipc://{address}"


@contextmanager
def _bound(socket: mq.Pull, address: Address) -> Iterator[None]:
    with suppress(FileNotFoundError):
        os.unlink(address)  # a killed predecessor leaves its file behind, and the address is ours
    socket.bind(f"ipc://{address}")
    socket.bind(f"inproc://{address}")
    _bound_here[address] = os.getpid()
    try:
        yield
    finally:
        _bound_here.pop(address, None)


@asynccontextmanager
async def open_inbox(address: Address, capacity: int) -> AsyncIterator[mq.Pull]:
    """A bound PULL; `capacity` messages from each sender may wait in it."""
    async with mq.Pull(receive_hwm=capacity, heartbeat_interval=None) as pull:
        with _bound(pull, address):
            yield pull


class Control:
    """One end of the PAIR between a supervisor and one incarnation of a child."""

    def __init__(self, pair: mq.Pair) -> None:
        self._pair = pair

    async def send(self, message: Message, payload: list[bytes] | tuple[bytes, ...] = ()) -> None:
        """Wait until the other end is there, and send."""
        await self._pair.wait_connected()
        await self._pair.send_multipart(encode(message, payload))

    def post(self, message: Message) -> None:
        """Send without waiting, if the other end is still there; it is only ever a handful of messages."""
        with suppress(trio.ClosedResourceError, trio.WouldBlock):
            self._pair.send_multipart_nowait(encode(message))

    async def receive(self) -> tuple[Message, list[bytes]]:
        return decode(await self._pair.receive_multipart())


@asynccontextmanager
async def bind_control(address: Address, across_processes: bool) -> AsyncIterator[tuple[Control, str]]:
    """The supervisor's end, and the endpoint for the child."""
    with trio.CancelScope() as scope:
        async with mq.Pair(linger=0, heartbeat_interval=None) as pair:
            yield Control(pair), pair.bind(f"{'ipc' if across_processes else 'inproc'}://{address}")
            # Left as if cancelled: a Stop that a dead child did not take is nothing to warn of.
            scope.cancel()
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def connect_control(where: str) -> AsyncIterator[Control]:
    """The child's end; leaving flushes what was posted."""
    async with mq.Pair(linger=LINGER, heartbeat_interval=None) as pair:
        pair.connect(where)
        yield Control(pair)


@define(eq=False)
class _Outlet:
    push: mq.Push | None = None
    waiting: list[list[bytes]] = Factory(list)
    closed: trio.Event = Factory(trio.Event)
    scope: trio.CancelScope = Factory(trio.CancelScope)


class Outlets:
    """One PUSH for each node this run has sent to, opened when first needed.

    `lost` is called with the address of a node that cannot be reached any more.
    """

    def __init__(self, nursery: trio.Nursery, hwm: int, lost: Callable[[Address], None]) -> None:
        self._nursery = nursery
        self._hwm = hwm
        self._lost = lost
        self._outlets: dict[Address, _Outlet] = {}

    async def _hold(self, address: Address, outlet: _Outlet) -> None:
        try:
            with outlet.scope:
                async with mq.Push(
                    linger=LINGER,
                    send_hwm=self._hwm,
                    reconnect_interval=RECONNECT,
                    reconnect_interval_max=RECONNECT_MAX,
                    heartbeat_interval=None,
                ) as push:
                    await self._serve(push, address, outlet)
        finally:
            if self._outlets.get(address) is outlet:
                del self._outlets[address]

    async def _drop_when_lost(
        self, events: trio.MemoryReceiveChannel[mq.Event], address: Address, outlet: _Outlet
    ) -> None:
        # A node is bound before anyone hears of it: one that cannot be reached is gone.
        async for event in events:
            if isinstance(event, mq.Disconnected | mq.ConnectDelayed):
                if self._outlets.get(address) is outlet:
                    del self._outlets[address]
                    self._lost(address)
                outlet.scope.cancel()
                return

    async def _serve(self, push: mq.Push, address: Address, outlet: _Outlet) -> None:
        async with push.monitor() as events, open_nursery() as nursery:
            nursery.start_soon(self._drop_when_lost, events, address, outlet)
            push.connect(endpoint(address))
            for frames in outlet.waiting:
                push.send_multipart_nowait(frames)
            outlet.push = push
            await outlet.closed.wait()
            nursery.cancel_scope.cancel()

    def post(self, address: Address, frames: list[bytes]) -> None:
        """Send at once or queue; a receiver that does not read any more loses its connection."""
        outlet = self._outlets.get(address)
        if outlet is None:
            outlet = self._outlets[address] = _Outlet()
            self._nursery.start_soon(self._hold, address, outlet)
        if outlet.push is None:
            outlet.waiting.append(frames)
            return
        try:
            outlet.push.send_multipart_nowait(frames)
        except trio.ClosedResourceError:
            self._outlets.pop(address, None)
        except trio.WouldBlock:
            log.warning("%s takes no more messages; forgetting it", address)
            self._outlets.pop(address).closed.set()

    def close(self) -> None:
        """Let every outlet flush and end; the nursery waits for them."""
        outlets, self._outlets = self._outlets, {}
        for outlet in outlets.values():
            outlet.closed.set()
