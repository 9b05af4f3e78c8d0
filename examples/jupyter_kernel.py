"""A Jupyter kernel for a small language: arithmetic in reverse Polish notation, such as "1 2 + 4 *".

    python examples/jupyter_kernel.py install DIRECTORY      writes DIRECTORY/kernels/polish/kernel.json
    JUPYTER_PATH=DIRECTORY jupyter console --kernel polish

"3 wait" waits for three seconds, unless you interrupt it. The kernel binds a ROUTER for each request channel, an XPUB
that publishes output and status, and a REP that answers heartbeats.
"""

from __future__ import annotations

import json
import operator
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
from jupyter_wire import ConnectionFile, Message, Session

import mq

OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


async def calculate(code: str) -> float | None:
    """Return the final top of the stack, or None if the stack is empty. Raises ValueError and ZeroDivisionError."""
    stack: list[float] = []
    for word in code.split():
        try:
            if word == "wait":
                await trio.sleep(stack.pop())
            elif word in OPERATIONS:
                second, first = stack.pop(), stack.pop()
                stack.append(OPERATIONS[word](first, second))
            else:
                stack.append(float(word))
        except IndexError:
            raise ValueError(f"{word!r} finds too few numbers before it") from None
    return stack[-1] if stack else None


class Kernel:
    """Answers requests and publishes their output."""

    def __init__(self, session: Session, iopub: mq.XPub) -> None:
        self._session = session
        self._iopub = iopub
        self._count = 0
        self._running = trio.CancelScope()

    async def serve(self, channel: mq.Router) -> None:
        """Answer the requests of ``channel`` one after the other, until a shutdown request arrives."""
        while True:
            try:
                request = self._session.unpack(await channel.receive_multipart())
            except ValueError as error:
                print(error, file=sys.stderr)
                continue
            answer = ANSWERS.get(request.kind)
            if answer is None:  # there are many other kinds, and clients work without a reply to them
                continue
            await self._tell("status", {"execution_state": "busy"}, request)
            content = await answer(self, request)
            reply = self._session.message(request.kind.replace("_request", "_reply"), content, request)
            await channel.send_multipart(self._session.pack(reply))
            await self._tell("status", {"execution_state": "idle"}, request)
            if request.kind == "shutdown_request":
                return

    async def welcome(self) -> None:
        """Send a welcome message for each subscription: from then on, the subscriber misses nothing."""
        async for subscription in self._iopub:
            if subscription[:1] == b"\1":
                await self._tell("iopub_welcome", {"subscription": subscription[1:].decode()})

    async def _tell(self, kind: str, content: dict[str, Any], parent: Message | None = None) -> None:
        message = self._session.message(kind, content, parent, way=[b"kernel." + kind.encode()])
        await self._iopub.send_multipart(self._session.pack(message))

    async def execute(self, request: Message) -> dict[str, Any]:
        code = request.content["code"]
        self._count += 1
        try:
            with trio.CancelScope() as self._running:
                await self._tell("execute_input", {"code": code, "execution_count": self._count}, request)
                result = await calculate(code)
            if self._running.cancelled_caught:
                raise InterruptedError("somebody has interrupted it")
        except (ValueError, ArithmeticError, InterruptedError) as error:
            failure = {"ename": type(error).__name__, "evalue": str(error), "traceback": [str(error)]}
            await self._tell("error", failure, request)
            return {"status": "error", "execution_count": self._count, **failure}
        if result is not None:
            data = {"data": {"text/plain": f"{result:g}"}, "metadata": {}, "execution_count": self._count}
            await self._tell("execute_result", data, request)
        return {"status": "ok", "execution_count": self._count, "user_expressions": {}}

    async def interrupt(self, request: Message) -> dict[str, Any]:
        self._running.cancel()
        return {"status": "ok"}

    async def shut_down(self, request: Message) -> dict[str, Any]:
        return {"status": "ok", "restart": request.content["restart"]}

    async def describe(self, request: Message) -> dict[str, Any]:
        return {
            "status": "ok",
            "protocol_version": "5.4",
            "implementation": "polish",
            "implementation_version": "1",
            "language_info": {"name": "polish", "version": "1", "mimetype": "text/plain", "file_extension": ".rpn"},
            "banner": "Reverse Polish notation: try 1 2 + 4 *",
        }


ANSWERS = {
    "kernel_info_request": Kernel.describe,
    "execute_request": Kernel.execute,
    "interrupt_request": Kernel.interrupt,
    "shutdown_request": Kernel.shut_down,
}


async def echo(beat: bytes | list[bytes]) -> bytes | list[bytes]:
    return beat


async def main(connection_file: Path) -> None:
    where = ConnectionFile.read(connection_file)
    async with (
        mq.Router() as shell,
        mq.Router() as control,
        mq.Router() as stdin,  # this kernel never asks for input, but clients connect to the channel
        mq.XPub(xpub_verbose=True) as iopub,
        mq.Rep() as heartbeat,
        trio.open_nursery() as nursery,
    ):
        kernel = Kernel(Session(where.key, "polish"), iopub)
        channels = {"shell": shell, "control": control, "stdin": stdin, "iopub": iopub, "hb": heartbeat}
        for channel, socket in channels.items():
            socket.bind(where.endpoint(channel))
        nursery.start_soon(heartbeat.serve, echo)
        nursery.start_soon(kernel.welcome)
        nursery.start_soon(kernel.serve, shell)
        await kernel.serve(control)
        nursery.cancel_scope.cancel()


def install(directory: Path) -> None:
    """Write the file by which Jupyter starts this kernel."""
    spec = {
        "argv": [sys.executable, str(Path(__file__).resolve()), "{connection_file}"],
        "display_name": "Reverse Polish notation",
        "language": "polish",
        "interrupt_mode": "message",
    }
    home = directory / "kernels" / "polish"
    home.mkdir(parents=True, exist_ok=True)
    (home / "kernel.json").write_text(json.dumps(spec))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
    elif sys.argv[1:] == ["install"]:
        sys.exit("say where: jupyter_kernel.py install DIRECTORY")
    elif sys.argv[1] == "install":
        install(Path(sys.argv[2]))
    else:
        trio.run(main, Path(sys.argv[1]))
