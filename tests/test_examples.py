"""Do the small examples print what they promise?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_hello_shares_ten_numbers_between_two_workers_and_adds_up(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "hello.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert done.stderr == ""
    assert done.stdout == "ann squared 5 numbers\nbob squared 5 numbers\nthe sum is 285\n"
    assert done.returncode == 0
