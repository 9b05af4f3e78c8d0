"""Do real programs that speak ZeroMQ work with us? Jupyter's kernel for Python, and Jupyter's client."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

jupyter_client = pytest.importorskip("jupyter_client", reason="jupyter_client is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 60

transports = pytest.mark.parametrize("transport", ["tcp", "ipc"])

SAID = """\
ipython speaks python
>>> answer = 6 * 7; answer
42
[1] ok
>>> print('still', answer)
still 42
[2] ok
>>> answer / 0
ZeroDivisionError: division by zero
[3] error
>>> import time; print('waiting', flush=True); time.sleep(1000)
waiting
KeyboardInterrupt:
[4] error
shutdown: ok
"""


@transports
def test_our_client_drives_jupyters_kernel(transport: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "jupyter_client.py"), transport]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path, check=False)
    assert done.stdout == SAID, done.stderr
    assert done.returncode == 0


@pytest.fixture
def manager(transport: str, tmp_path: Path) -> Iterator[Any]:
    """Jupyter's manager, with our kernel running."""
    subprocess.run([sys.executable, str(EXAMPLES / "jupyter_kernel.py"), "install", str(tmp_path)], check=True)
    specs = jupyter_client.kernelspec.KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])
    manager = jupyter_client.KernelManager(
        kernel_name="polish",
        kernel_spec_manager=specs,
        transport=transport,
        connection_file=str(tmp_path / "connection.json"),
    )
    manager.start_kernel()
    yield manager
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)
    manager.cleanup_resources()
    manager.context.destroy(linger=0)


@transports
def test_jupyters_client_drives_our_kernel(manager: Any) -> None:
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        assert client.kernel_info(reply=True, timeout=PATIENCE)["content"]["implementation"] == "polish"
        assert run(client, "1 2 + 4 *") == ("ok", [("execute_result", "12")])
        assert run(client, "1 0 /") == ("error", [("error", "ZeroDivisionError")])
        assert run(client, "+") == ("error", [("error", "ValueError")])
        end = time.monotonic() + PATIENCE
        while not client.hb_channel.is_beating():  # a kernel that starts slowly has missed the first beats
            assert time.monotonic() < end
            time.sleep(0.05)

        asked = client.execute("1000 wait")
        while client.get_iopub_msg(timeout=PATIENCE)["msg_type"] != "execute_input":
            pass
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=PATIENCE)
        assert reply["parent_header"]["msg_id"] == asked
        assert reply["content"]["ename"] == "InterruptedError"

        manager.shutdown_kernel()
        assert not manager.is_alive()
    finally:
        client.stop_channels()


def run(client: Any, code: str) -> tuple[str, list[tuple[str, str]]]:
    """Run ``code``; return the reply's status, and what was shown."""
    shown: list[tuple[str, str]] = []

    def show(message: Any) -> None:
        content = message["content"]
        if message["msg_type"] == "execute_result":
            shown.append(("execute_result", content["data"]["text/plain"]))
        elif message["msg_type"] == "error":
            shown.append(("error", content["ename"]))

    reply = client.execute_interactive(code, output_hook=show, timeout=PATIENCE)
    return reply["content"]["status"], shown
