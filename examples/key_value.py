"""A key-value store with replicas that follow it: snapshots by ROUTER, updates by PUB, writes by PUSH.

    python examples/key_value.py

Writes go to the server, which numbers them and publishes them. A replica subscribes first, then fetches a snapshot, and
from then on applies the updates whose numbers follow. A number that is missing means that updates were lost, as when
the connection was, or when the replica was too slow to read them: it fetches a new snapshot. (ZeroMQ's guide calls it
the clone pattern.)

Two writers change the store all the time. Of two replicas that are there from the start one loses its connection for a
while, and a third one comes late. In the end all equal the server.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

import trio

import mq

WRITES, KEYS = 300, 20
"""How often each writer writes, and how many keys there are."""

say = partial(print, flush=True)


class Store:
    """Pairs of key and value, and the number of the last change. An empty value deletes."""

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
    """Owns the store. Its publisher repeats the last update to each new subscriber, so that none has to guess."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.pub, self.pull = mq.Router(), mq.Pub(last_values=1), mq.Pull()

    async def serve(self, task_status: trio.TaskStatus[list[str]]) -> None:
        """Take writes and hand out snapshots; ``started`` tells the endpoints for snapshots, updates and writes."""
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
    """Follows a server."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.sub, self.req = mq.Sub(), mq.Req()

    async def follow(self, snapshots: str, updates: str, task_status: trio.TaskStatus[None]) -> None:
        """Apply all changes, for ever; ``started`` says that the first snapshot is there."""
        async with self.sub, self.req:
            self.sub.subscribe(b"")
            self.sub.connect(updates)
            self.req.connect(snapshots)
            await self.sub.receive_multipart()  # the last update, once more: from here on none is missed unnoticed
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
    """Change the keys in turn; every seventh change deletes one."""
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
