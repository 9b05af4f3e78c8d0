"""A key-value store with replicas. Snapshots by ROUTER, updates by PUB, writes by PUSH.

    python examples/key_value.py

Writers send changes to the server. The server numbers the changes and publishes them. A replica subscribes first, then
fetches a snapshot, and then applies each update with the next number. If a number is missing, the replica has missed
updates, because its connection was lost or because it read too slowly. The replica then fetches a new snapshot.
ZeroMQ's guide calls this the clone pattern.

Two writers change the store all the time. Two replicas are connected from the start, and one of them loses its
connection for a while. A third replica connects late. In the end, all replicas equal the server.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

import trio

import mq

WRITES, KEYS = 300, 20
"""The number of writes by each writer, and the number of keys."""

say = partial(print, flush=True)


class Store:
    """Pairs of key and value, and the number of the last change. An empty value deletes the key."""

    def __init__(self) -> None:
        self.number = 0
        self.pairs: dict[bytes, bytes] = {}
        self.changed = trio.Event()

    def apply(self, number: int, key: bytes, value: bytes) -> None:
        if value:
            self.pairs[key] = value
        else:
            self.pairs.pop(key, None)
        self.move_to(number)

    def move_to(self, number: int) -> None:
        self.number = number
        self.changed.set()
        self.changed = trio.Event()

    async def reached(self, number: int) -> None:
        while self.number < number:
            await self.changed.wait()


class Server(Store):
    """Owns the store. The publisher repeats the last update to each new subscriber: its subscription has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.pub, self.pull = mq.Router(), mq.Pub(last_values=1), mq.Pull()

    async def serve(self, task_status: trio.TaskStatus[list[str]]) -> None:
        """Apply writes and send snapshots; ``started`` passes on the endpoints for snapshots, updates and writes."""
        async with self.router, self.pub, self.pull, trio.open_nursery() as nursery:
            endpoints = [socket.bind("ipc://*") for socket in (self.router, self.pub, self.pull)]
            await self.publish(b"", b"")
            nursery.start_soon(self.router.serve, self.snapshot)
            task_status.started(endpoints)
            while True:
                key, value = await self.pull.receive_multipart()
                self.apply(self.number + 1, key, value)
                await self.publish(key, value)

    async def publish(self, key: bytes, value: bytes) -> None:
        await self.pub.send_multipart([key, b"%d" % self.number, value])

    async def snapshot(self, request: bytes) -> list[bytes]:
        return [b"%d" % self.number, *(frame for pair in self.pairs.items() for frame in pair)]


class Replica(Store):
    """Keeps a copy of the server's store."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.sub, self.req = mq.Sub(), mq.Req()

    async def follow(self, snapshots: str, updates: str, task_status: trio.TaskStatus[None]) -> None:
        """Apply all changes; never return. Calls ``started`` when the first snapshot has arrived."""
        async with self.sub, self.req:
            self.sub.subscribe(b"")
            self.sub.connect(updates)
            self.req.connect(snapshots)
            await self.sub.receive_multipart()  # the repeated last update: the subscription has arrived
            await self.fetch()
            task_status.started()
            while True:
                key, number, value = await self.sub.receive_multipart()
                if int(number) == self.number + 1:
                    self.apply(int(number), key, value)
                elif int(number) > self.number:
                    say(f"{self.name} has change {self.number} and hears of change {int(number)}")
                    await self.fetch()

    async def fetch(self) -> None:
        number, *frames = await self.req.request_multipart([b"SNAPSHOT"])
        self.pairs = dict(zip(frames[::2], frames[1::2], strict=True))
        self.move_to(int(number))
        say(f"{self.name} has a snapshot as of change {self.number}")


async def write(name: str, endpoint: str) -> None:
    """Change the keys in turn; every seventh change deletes a key."""
    async with mq.Push() as push:
        push.connect(endpoint)
        for count in range(WRITES):
            value = b"" if count % 7 == 0 else f"{name} {count}".encode()
            await push.send_multipart([b"key %d" % (count % KEYS), value])
            await trio.sleep(0.001)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server = Server()
        snapshots, updates, writes = await nursery.start(server.serve)
        ann, bob, eve = replicas = [Replica(name) for name in ("ann", "bob", "eve")]
        for replica in (ann, bob):
            await nursery.start(replica.follow, snapshots, updates)
        for name in ("one", "other"):
            nursery.start_soon(write, name, writes)

        await server.reached(WRITES // 2)
        say("bob loses his connection")
        bob.sub.disconnect(updates)
        await server.reached(WRITES)
        say("eve comes late")
        await nursery.start(eve.follow, snapshots, updates)
        say("bob is connected again")
        bob.sub.connect(updates)

        await server.reached(2 * WRITES)
        for replica in replicas:
            await replica.reached(server.number)
            same = "equals" if replica.pairs == server.pairs else "DIFFERS FROM"
            say(f"{replica.name} {same} the server: {len(replica.pairs)} keys after {replica.number} changes")
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    status = 0
    try:
        trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
