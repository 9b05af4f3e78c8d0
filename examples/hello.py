"""Ten numbers, two workers, one sum, with sockets only.

    python examples/hello.py

A ventilator pushes numbers to two workers. The workers push squares to a collector. A PAIR socket tells the collector
the number of squares to expect, and the collector sends the sum back when it has all squares. Everything runs in one
process. The sockets know only endpoints, so each function could also be a separate program.
"""

from collections import Counter

import trio

import mq


async def work(name: str, numbers: str, squares: str) -> None:
    """Square every number that arrives; never return."""
    async with mq.Pull() as pull, mq.Push() as push:
        pull.connect(numbers)
        push.connect(squares)
        async for number in pull:
            await push.send_multipart([name.encode(), b"%d" % (int(number) ** 2)])


async def collect(pull: mq.Pull, control: str) -> None:
    """Receive the number of squares over ``control``, add up that many squares, and send the sum back."""
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
        await push.wait_connected(2)  # otherwise the first worker gets all numbers
        for number in range(10):
            await push.send(b"%d" % number)
        await pair.send(b"10")
        print("the sum is", int(await pair.receive()))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
