"""How are requests sent and answered in a shell? By the commands req and rep."""

from __future__ import annotations

import argparse
import math
from collections import deque
from collections.abc import Awaitable, Callable

import trio

from ..errors import PeerLost
from ..patterns.reqrep import Rep, Req
from . import arguments, formats, traffic
from .errors import Misused, Trouble
from .formats import Format
from .opening import opened, wait_for_peers
from .standard import Input, say, write_messages


def add_req(parser: argparse.ArgumentParser) -> None:
    arguments.endpoints(parser)
    traffic.add_sources(parser, Req)
    parser.add_argument("-n", "--count", type=arguments.whole(1), metavar="N",
                        help="end after N requests; --message is repeated until then")  # fmt: skip
    parser.add_argument("-t", "--timeout", type=arguments.seconds, default=math.inf, metavar="SECONDS",
                        help="time limit for each reply (default: none)")  # fmt: skip
    arguments.text(parser)
    arguments.socket(parser, identity=True)


async def req(chosen: argparse.Namespace) -> None:
    """Send each message as a request, and write the reply."""
    form = formats.make(chosen.format, arguments.separator(chosen.separator), output=chosen.output_format)
    asked = unanswered = 0
    async with opened(Req, chosen) as socket:
        if chosen.wait:
            await wait_for_peers(socket, chosen.wait)
        batch = traffic.source_of(chosen, form, repeat=chosen.count is not None)
        while asked != chosen.count and (messages := await batch()):
            for frames in messages[: chosen.count and chosen.count - asked]:
                if asked and chosen.interval:
                    await trio.sleep(chosen.interval)
                reply = await _reply_to(socket, frames, chosen.timeout)
                if reply is None:
                    unanswered += 1
                else:
                    await write_messages(form, [reply])
                asked += 1
        if unanswered:
            raise Trouble(f"{unanswered} of {asked} requests got no reply")


async def _reply_to(socket: Req, frames: list[bytes], patience: float) -> list[bytes] | None:
    try:
        with trio.move_on_after(patience):
            return await socket.request_multipart(frames)
        say(f"no reply within {patience:g} s")
    except PeerLost as error:
        say(f"no reply: {error}")
    return None


def add_rep(parser: argparse.ArgumentParser) -> None:
    arguments.endpoints(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--echo", action="store_true", help="reply with the request itself")
    how.add_argument("--exec", metavar="COMMAND", help="run a shell command for each request; the request is its "
                     "standard input, and the reply is its output without the last newline")  # fmt: skip
    how.add_argument("--reply", metavar="TEXT", help="reply with this text")
    parser.add_argument("-n", "--count", type=arguments.whole(1), metavar="N", help="end after N requests")
    arguments.text(parser)
    arguments.socket(parser, identity=True)


async def rep(chosen: argparse.Namespace) -> None:
    """Answer requests. Without --echo, --exec or --reply, write each request and read the reply from standard input."""
    form = formats.make(chosen.format, arguments.separator(chosen.separator), output=chosen.output_format)
    answer = _answerer(chosen, form)
    left = chosen.count or math.inf
    async with opened(Rep, chosen) as socket:
        while left:
            reply = await answer(await socket.receive_multipart())
            if reply is None:
                return
            await socket.send_multipart(reply)
            left -= 1


def _answerer(
    chosen: argparse.Namespace, form: Format
) -> Callable[[list[bytes]], Awaitable[list[bytes] | None]]:
    """Return a function that returns the reply to a request, or None when standard input has ended."""
    if chosen.reply is not None:
        try:
            fixed = form.read(chosen.reply.encode())
        except ValueError as error:
            raise Misused(f"--reply: {error}") from None

    async def echo(request: list[bytes]) -> list[bytes]:
        return request

    async def same(request: list[bytes]) -> list[bytes]:
        await write_messages(form, [request])
        return fixed

    async def execute(request: list[bytes]) -> list[bytes]:
        done = await trio.run_process(
            ["/bin/sh", "-c", chosen.exec], stdin=form.write(request), capture_stdout=True, check=False
        )
        if done.returncode:
            say(f"{chosen.exec}: exit status {done.returncode}")
        try:
            return form.read(done.stdout if form.whole else done.stdout.removesuffix(b"\n"))
        except ValueError as error:
            say(f"{chosen.exec}: {error}")
            return [b""]

    lines = Input(form)
    waiting: deque[list[bytes]] = deque()

    async def ask(request: list[bytes]) -> list[bytes] | None:
        await write_messages(form, [request])
        if not waiting:
            waiting.extend(await lines.batch())
        return waiting.popleft() if waiting else None

    return echo if chosen.echo else execute if chosen.exec else same if chosen.reply is not None else ask
