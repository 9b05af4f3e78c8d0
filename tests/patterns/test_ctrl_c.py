"""Where does Ctrl-C come up? In the program, wherever in the background it strikes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import trio

import mq
from mq.links import dialer, listener
from mq.links.reading import Reader
from mq.links.writing import Writer
from mq.socket import Socket

from ..conftest import TRANSPORTS, endpoint_of

STRIKES = [
    (transport, *place)
    for transport in TRANSPORTS
    for place in [
        (dialer, "_connect"),
        (listener, "_wait_for_room"),
        (Socket, "_connected"),
        (Socket, "_lost"),
        (Reader, "_receive"),
        (Writer, "_take"),
    ]
    if transport != "inproc" or place[0] is Socket
]


@pytest.mark.parametrize(("transport", "where", "name"), STRIKES)
def test_ctrl_c_that_strikes_in_the_background_comes_up_in_the_program(
    transport: str, where: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck = []
    caught = []
    do = getattr(where, name)

    def strike(*arguments: Any) -> Any:
        if not struck:
            struck.append(name)
            signal.raise_signal(signal.SIGINT)
        return do(*arguments)

    async def main() -> None:
        with trio.fail_after(20):
            async with mq.Pull(heartbeat_interval=0.05) as pull:
                monkeypatch.setattr(where, name, strike)
                try:
                    endpoint = pull.bind(endpoint_of(transport, tmp_path))
                    async with mq.Push(heartbeat_interval=0.05) as push, mq.Push() as leaving:
                        push.connect(endpoint)
                        leaving.connect(endpoint)
                        await leaving.wait_connected()
                        leaving.disconnect(endpoint)
                        await trio.sleep_forever()
                except KeyboardInterrupt:
                    caught.append(name)
                async with mq.Push() as push:  # nothing is broken
                    push.connect(endpoint)
                    await push.send(b"on we go")
                    assert await pull.receive() == b"on we go"

    trio.run(main)
    assert struck == caught == [name]
