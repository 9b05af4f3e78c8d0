"""A Jupyter client: makes a real kernel compute, print, fail, stop in the middle, and shut down.

    pip install ipykernel
    python examples/jupyter_client.py [tcp|ipc]

The kernel binds five sockets, and the client connects to four of them. One DEALER sends requests on the shell channel,
and another on the control channel. A SUB receives the output of running code on iopub. A REQ checks on the heartbeat
channel that the kernel is alive.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import trio
from jupyter_wire import ConnectionFile, Message, Session

import mq


class Kernel:
    """A kernel, from the view of a client."""

    def __init__(self, session: Session, shell: mq.Dealer, control: mq.Dealer, iopub: mq.Sub) -> None:
        self._session = session
        self._shell = shell
        self._control = control
        self._iopub = iopub

    async def ask(self, kind: str, **content: Any) -> dict[str, Any]:
        """Send a request on the control channel, which the kernel reads even while code runs; return the reply."""
        return await self._answer(self._control, await self._request(self._control, kind, content))

    async def run(self, code: str) -> AsyncIterator[Message]:
        """Run ``code``; yield each message of its output, and finally the reply to the request."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        request = await self._request(self._shell, "execute_request", content)
        while True:
            message = self._session.unpack(await self._iopub.receive_multipart())
            if not message.answers(request):
                continue
            if message.content.get("execution_state") == "idle":
                break
            yield message
        yield await self._reply(self._shell, request)

    async def _request(self, channel: mq.Dealer, kind: str, content: dict[str, Any]) -> Message:
        request = self._session.message(kind, content)
        await channel.send_multipart(self._session.pack(request))
        return request

    async def _reply(self, channel: mq.Dealer, request: Message) -> Message:
        while True:
            message = self._session.unpack(await channel.receive_multipart())
            if message.answers(request):
                return message

    async def _answer(self, channel: mq.Dealer, request: Message) -> dict[str, Any]:
        return (await self._reply(channel, request)).content


@asynccontextmanager
async def connected(where: ConnectionFile) -> AsyncIterator[Kernel]:
    """Open the sockets of a client; wait until the kernel is running and has our subscription to its output."""
    async with mq.Dealer() as shell, mq.Dealer() as control, mq.Sub() as iopub, mq.Req() as heartbeat:
        shell.connect(where.endpoint("shell"))
        control.connect(where.endpoint("control"))
        iopub.subscribe(b"")
        iopub.connect(where.endpoint("iopub"))
        heartbeat.connect(where.endpoint("hb"))
        assert await heartbeat.request(b"are you there?") == b"are you there?"
        session = Session(where.key, "an example")
        # The kernel's XPUB receives our subscription and sends a welcome message.
        while session.unpack(await iopub.receive_multipart()).kind != "iopub_welcome":
            pass
        yield Kernel(session, shell, control, iopub)


def free_ports(count: int) -> list[int]:
    """Return free ports. The kernel takes only port numbers, so another program may still take a port first."""
    with ExitStack() as stack:
        holders = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [holder.getsockname()[1] for holder in holders]


def write_connection_file(directory: Path, transport: str) -> Path:
    names = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
    ports = free_ports(len(names)) if transport == "tcp" else range(1, len(names) + 1)
    ip = "127.0.0.1" if transport == "tcp" else str(directory / "kernel")
    path = directory / "kernel.json"
    path.touch(mode=0o600)  # everybody with the key can run code
    path.write_text(
        json.dumps(
            {
                "transport": transport,
                "ip": ip,
                **dict(zip(names, ports, strict=True)),
                "key": uuid.uuid4().hex,
                "signature_scheme": "hmac-sha256",
            }
        )
    )
    return path


@asynccontextmanager
async def started(directory: Path, transport: str) -> AsyncIterator[Kernel]:
    """Start ipykernel in a separate process, and connect to it."""
    path = write_connection_file(directory, transport)
    command = [sys.executable, "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", str(path)]
    dies_with_us = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
    async with trio.open_nursery() as nursery:
        process = await nursery.start(partial(trio.run_process, command, env=dies_with_us))
        async with connected(ConnectionFile.read(path)) as kernel:
            yield kernel
        await process.wait()


async def show(kernel: Kernel, code: str) -> None:
    """Run ``code`` and print its output; interrupt the code when it prints "waiting"."""
    print(">>>", code)
    async for message in kernel.run(code):
        content = message.content
        if message.kind == "stream":
            print(content["text"].rstrip())
            if content["text"].startswith("waiting"):
                await kernel.ask("interrupt_request")
        elif message.kind == "execute_result":
            print(content["data"]["text/plain"])
        elif message.kind == "error":
            print(f"{content['ename']}: {content['evalue']}".rstrip(" "))
        elif message.kind == "execute_reply":
            print(f"[{content['execution_count']}] {content['status']}")


async def main(transport: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with started(Path(directory), transport) as kernel:
            info = await kernel.ask("kernel_info_request")
            print(f"{info['implementation']} speaks {info['language_info']['name']}")
            await show(kernel, "answer = 6 * 7; answer")
            await show(kernel, "print('still', answer)")
            await show(kernel, "answer / 0")
            await show(kernel, "import time; print('waiting', flush=True); time.sleep(1000)")
            print("shutdown:", (await kernel.ask("shutdown_request", restart=False))["status"])


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv):
        sys.exit(__doc__)
    if find_spec("ipykernel") is None:
        sys.exit("there is no kernel to talk to: pip install ipykernel")
    trio.run(main, sys.argv[1] if len(sys.argv) > 1 else "tcp")
