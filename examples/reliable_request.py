"""Two servers, one killed and one asleep, and still every request is answered. REQ - REP.

    python examples/reliable_request.py

Each request has a timeout and several attempts. ``mq`` raises an error at once when the server with the request
disconnects. The timeout is for a server that is connected but does not answer. In both cases, the next attempt goes to
the next connected server. A late reply is dropped, so it cannot be taken for the reply to another request. A server may
have processed the request before it died, so a repeated request may be processed twice, which must do no harm.

Each server is a separate process. One server kills itself with SIGKILL at its fifth request. The other falls asleep at
its tenth. To run a server by hand:

    python examples/reliable_request.py --serve ann tcp://127.0.0.1:5555
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from functools import partial

import trio

import mq

REQUESTS, AT_ONCE = 30, 4
PATIENCE, ATTEMPTS = 0.5, 10
"""The timeout of one attempt in seconds, and the number of attempts."""


def say(text: str) -> None:
    print(text + "\n", end="", flush=True)  # one write, because other processes print too


# The client -------------------------------------------------------------------------------------------------


async def ask(req: mq.Req, request: bytes) -> list[bytes]:
    """Return the answer to ``request`` from any server. Raise TimeoutError when all attempts fail."""
    for _ in range(ATTEMPTS):
        try:
            with trio.move_on_after(PATIENCE):
                return await req.request_multipart([request])
            why = f"no answer within {PATIENCE} s"
        except mq.PeerLost as lost:
            why = str(lost)
        say(f"request {request.decode()} is tried again: {why}")
    raise TimeoutError(f"nobody has answered request {request.decode()} in {ATTEMPTS} attempts")


async def ask_all(endpoints: list[str]) -> None:
    """Send all requests over one socket, a few at a time, and check the answers."""
    left = iter(range(REQUESTS))
    answers: dict[int, str] = {}

    async def ask_in_turn() -> None:
        for number in left:
            server, square = await ask(req, b"%d" % number)
            assert int(square) == number**2
            answers[number] = server.decode()

    async with mq.Req() as req:
        for endpoint in endpoints:
            req.connect(endpoint)
        await req.wait_connected(len(endpoints))
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(ask_in_turn)
        say(f"{len(answers)} of {REQUESTS} requests are answered, by {' and '.join(sorted(set(answers.values())))}")
        for reason, count in req.statistics().dropped.items():
            say(f"dropped, {reason}: {count}")


# The servers ------------------------------------------------------------------------------------------------


async def serve(dies_at: int, sleeps_at: int, name: str, endpoint: str) -> None:
    """Square numbers, until the requested failure."""
    count = 0

    async def square(request: bytes) -> list[bytes]:
        nonlocal count
        count += 1
        if count == dies_at:
            say(f"{name} is killed, with request {request.decode()} in its hands")
            os.kill(os.getpid(), signal.SIGKILL)
        if count == sleeps_at:
            say(f"{name} falls asleep over request {request.decode()}")
            await trio.sleep(1.5 * PATIENCE)
        return [name.encode(), b"%d" % (int(request) ** 2)]

    async with mq.Rep() as rep:
        rep.bind(endpoint)
        await rep.serve(square)


# The demonstration ------------------------------------------------------------------------------------------


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with trio.open_nursery() as servers:
            endpoints = []
            for name, accident in (("ann", "--dies-at=5"), ("bob", "--sleeps-at=10")):
                endpoints.append(f"ipc://{directory}/{name}")
                command = [sys.executable, __file__, "--serve", name, endpoints[-1], accident]
                # In its own process group, the server gets no Ctrl-C. Cancelling this task ends the server.
                servers.start_soon(partial(trio.run_process, command, check=False, process_group=0))
            await ask_all(endpoints)
            servers.cancel_scope.cancel()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", nargs=2, metavar=("NAME", "ENDPOINT"), help="run one server")
    parser.add_argument("--dies-at", type=int, default=0, metavar="N", help="be killed at the N-th request")
    parser.add_argument("--sleeps-at", type=int, default=0, metavar="N", help="answer the N-th request late")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    status = 0
    try:
        trio.run(
            lambda: serve(chosen.dies_at, chosen.sleeps_at, *chosen.serve) if chosen.serve else main(),
            restrict_keyboard_interrupt_to_checkpoints=True,
        )
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
