"""Do the commands that an installation brings do what `python -m` does, under their own names?"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from .commands import PATIENCE

SCRIPTS = Path(sysconfig.get_path("scripts"))

TREE = """
import actors

class Ending(actors.Actor):
    async def started(self):
        print("up", flush=True)
        self.stop()

tree = actors.Supervisor(actors.Child(Ending, place="process", restart="temporary"))
"""


def script(name: str) -> list[str]:
    path = SCRIPTS / name
    assert path.exists(), f"{path} is missing: run make test, or pip install -e . --no-deps"
    return [str(path)]


def done(command: list[str], directory: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ``command`` where only an installed package can be imported."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=directory, env=environment, input=given, capture_output=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize("name", ["mq", "actors"])
def test_help_shows_the_name_that_the_program_was_called_by(name: str, tmp_path: Path) -> None:
    for command, shown in ((script(name), name), ([sys.executable, "-m", name], f"python -m {name}")):
        helped = done([*command, "--help"], tmp_path)
        assert helped.returncode == 0
        assert helped.stdout.decode().startswith(f"usage: {shown} [-h]")
        assert name == "actors" or f"\n  {shown} pull --bind" in helped.stdout.decode()


def test_the_help_of_a_command_shows_the_name_that_the_program_was_called_by(tmp_path: Path) -> None:
    helped = done([*script("mq"), "pull", "--help"], tmp_path).stdout.decode()
    assert helped.startswith("usage: mq pull [-h]")
    assert "\n  mq pull --bind" in helped


def test_an_error_begins_with_the_name_that_the_program_was_called_by(tmp_path: Path) -> None:
    for command, shown in ((script("mq"), "mq"), ([sys.executable, "-m", "mq"], "python -m mq")):
        failed = done([*command, "push"], tmp_path)
        assert failed.returncode == 2
        assert failed.stderr.decode().startswith(f"{shown} push: give an endpoint")


def test_the_installed_commands_pass_messages(tmp_path: Path) -> None:
    pull = subprocess.Popen(
        [*script("mq"), "pull", "--bind", f"ipc://{tmp_path}/s", "--count", "2"], stdout=subprocess.PIPE
    )
    try:
        assert done([*script("mq"), "push", "--connect", f"ipc://{tmp_path}/s"], tmp_path, b"a\nb\n").returncode == 0
        assert pull.communicate(timeout=PATIENCE)[0] == b"a\nb\n"
    finally:
        pull.kill()
        pull.wait()


def test_the_installed_command_runs_a_tree_of_the_directory_it_is_called_in(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(TREE)
    ran = done([*script("actors"), "run", "-q", "service:tree"], tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"up\n", b"")
