"""A program with children of every kind, for the test that kills it: prints their pids, one a line."""

import hashlib
import os
import time

import trio

import actors


class Idle(actors.Actor):
    async def started(self) -> None:
        print(os.getpid(), flush=True)


class Busy(Idle):
    """Computes without ever giving way to other tasks."""

    async def compute(self) -> None:
        print("computing", flush=True)
        until = time.monotonic() + 600
        while time.monotonic() < until:
            hashlib.sha256(bytes(4096)).digest()


class Deaf(Idle):
    """Stays in C and never lets go of the interpreter."""

    async def compute(self) -> None:
        print("computing", flush=True)
        pow(3, 10**9)  # hours


class Nest(Idle):
    """Has a process of its own."""

    async def started(self) -> None:
        await super().started()
        await self.nursery.start(self._nest)

    async def _nest(self, task_status: "trio.TaskStatus[None]") -> None:
        async with actors.open_supervisor() as inner:
            await inner.start(Idle, place="process")
            task_status.started()
            await trio.sleep_forever()


async def main() -> None:
    async with actors.open_supervisor() as root:
        await root.start(Nest, place="process")
        await root.start(actors.Supervisor(actors.Child(Idle, place="process"), place="process"))
        for cls in (Busy, Deaf):
            ref = await root.start(cls, place="process")
            await ref.compute.tell()
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
