"""What does the command line do? Runs `mq COMMAND` or `python -m mq COMMAND`, and sets the exit status."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import trio

from . import __version__
from .commands import asking, benching, joining, keys, pinging, traffic, watching
from .commands.errors import Misused, Trouble
from .commands.standard import say
from .commands.words import ABOUT, COMMANDS
from .errors import Error

Work = Callable[[argparse.Namespace], Awaitable[None]]

_OTHERS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Work]] = {
    "req": (asking.add_req, asking.req),
    "rep": (asking.add_rep, asking.rep),
    "proxy": (joining.add_proxy, joining.run_proxy),
    "monitor": (watching.add_monitor, watching.monitor),
    "ping": (pinging.add_ping, pinging.ping),
    "bench": (benching.add_bench, benching.bench),
    "keygen": (keys.add_keygen, keys.keygen),
}
"""The commands that do more than send standard input and write received messages."""


def parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of the command line. ``name`` is how the user calls the program."""
    program = argparse.ArgumentParser(
        prog=name, description=ABOUT[0], epilog=_calling(name, ABOUT[1]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    program.add_argument("--version", action="version", version=f"mq {__version__}")
    commands = program.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for verb, (short, long) in COMMANDS.items():
        command = commands.add_parser(
            verb, help=short, description=f"{short[0].upper()}{short[1:]}.", epilog=_calling(name, long),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        if verb in _OTHERS:
            add_arguments, work = _OTHERS[verb]
            add_arguments(command)
        else:
            kind = traffic.KINDS[verb]
            traffic.add_arguments(command, kind)
            work = partial(traffic.run, kind)
        command.set_defaults(work=work)
    return program


def _calling(name: str, text: str) -> str:
    """Return ``text``; its examples call the program by ``name``."""
    return text.replace("python -m mq", name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status.

    0 is success, 1 a problem while running, 2 a wrong command line or endpoint, 128 plus its number a signal.
    """
    name = "mq" if Path(sys.argv[0]).stem == "mq" else "python -m mq"  # the console script, or the package
    chosen = parser(name).parse_args(arguments)
    chosen.program = f"{name} {chosen.command}"
    logging.basicConfig(format="%(message)s", level=logging.INFO if chosen.verbose else logging.WARNING)
    try:
        return trio.run(_run, chosen)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


async def _run(chosen: argparse.Namespace) -> int:
    """Run the command until it finishes, fails, or the process receives a signal."""
    status = 0
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def obey_signals() -> None:
                nonlocal status
                async for number in signals:
                    status = 128 + number
                    nursery.cancel_scope.cancel()

            nursery.start_soon(obey_signals)
            try:
                await chosen.work(chosen)
            except Exception as error:
                status = _status_of(_first(error), chosen.program)
            nursery.cancel_scope.cancel()
    return status


def _first(error: BaseException) -> BaseException:
    """Return the first exception of a group, or ``error`` itself if it is no group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _status_of(error: BaseException, program: str) -> int:
    if isinstance(error, BrokenPipeError):  # the reader of standard output has closed it
        return 0
    if isinstance(error, (Misused, Trouble, Error, OSError)):
        say(f"{program}: {error}")
        return 2 if isinstance(error, Misused) else 1
    raise error
