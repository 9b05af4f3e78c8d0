"""Ten numbers, two workers, one sum: sockets alone.

    python examples/hello.py

A ventilator pushes numbers to whoever pulls. The workers push squares to a collector, which is told over a pair how
many to expect, and answers when it has them all. Everything here runs in one process; as the sockets only know each
other by their endpoints, each function could as well be a program of its own.
"""

from collections import Counter

import trio

import mq


async def work(name: str, numbers: str, squares: str) -> None:
    """Square what comes, for ever."""
    async with mq.Pull() as pull, mq.Push() as push:
        pull.connect(numbers)
        push.connect(squares)
        async for number in pull:
            await push.send_multipart([name.encode(), b"%d" % (int(number) ** 2)])


async def collect(pull: mq.Pull, control: str) -> None:
    """Add up as many squares as the other end of ``control`` asks for, and tell it the sum."""
    async with mq.Pair() as pair:
        pair.connect(control)
        workers: Counter[str] = Counter()
        total = 0
        for _ in range(int(await pair.receive())):
            name, square = await pull.receive_multipart()
            workers[name.decode()] += 1
            total += int(square)
        for worker, count in sorted(workers.items()):
            print(f"{worker} squared {count} numbers")
        await pair.send(b"%d" % total)


async def main() -> None:
    async with mq.Push() as push, mq.Pull() as pull, mq.Pair() as pair, trio.open_nursery() as nursery:
        numbers, squares, control = push.bind("ipc://*"), pull.bind("ipc://*"), pair.bind("ipc://*")
        nursery.start_soon(collect, pull, control)
        nursery.start_soon(work, "ann", numbers, squares)
        nursery.start_soon(work, "bob", numbers, squares)
        await push.wait_connected(2)  # else whoever comes first gets all
        for number in range(10):
            await push.send(b"%d" % number)
        await pair.send(b"10")
        print("the sum is", int(await pair.receive()))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
