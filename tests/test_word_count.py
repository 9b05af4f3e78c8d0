"""The main example counts what one process counts, whatever dies or cannot be read on the way."""

import importlib.util
import io
import keyword
import os
import pty
import signal
import subprocess
import sys
import sysconfig
import time
import tokenize
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "word_count.py"
FILES = 60


@pytest.fixture(scope="module")
def word_count() -> ModuleType:
    spec = importlib.util.spec_from_file_location("word_count", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty good files, four that cannot be read, and things that are no Python files."""
    root = tmp_path_factory.mktemp("tree")
    (root / "folder.py").mkdir()
    for number in range(FILES):
        folder = root / "folder.py" if number % 2 else root
        source = f"# some comment\nalpha = beta + 'gamma'\nalpha{number} = 1\n"
        (folder / f"module_{number}.py").write_text(source)
    (root / "notes.txt").write_text("alpha " * 100)
    (root / "bad_bytes.py").write_bytes(b"\n\nalpha = '\xff\xfe'\n")
    (root / "bad_coding.py").write_bytes(b"# -*- coding: klingon -*-\nalpha = 1\n")
    (root / "bad_codec.py").write_bytes(b"# -*- coding: base64 -*-\nalpha = 1\n")
    (root / "dangling.py").symlink_to(root / "nowhere.py")
    return root


def run(*args: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPT), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/", check=False)


def test_a_killed_worker_leaves_the_totals_identical(tree: Path) -> None:
    done = run(tree, "--workers", 2, "--kill", "--verify")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["60", "alpha"]
    assert lines[1].split() == ["60", "beta"]
    assert [line.split()[0] for line in lines[2:20]] == ["1"] * 18
    assert lines[20].startswith("60 files, 0.0 MB in ")
    assert "files/s" in lines[21]
    assert lines[22:24] == ["skipped: 4", "restarts: 1"]
    assert lines[24].startswith("redelivered: ")
    assert lines[25].startswith("verified: ")
    assert "killing worker process" in done.stderr


def test_files_that_cannot_be_read_are_reported_and_stop_nothing(tree: Path) -> None:
    done = run(tree, "--workers", 1)
    assert done.returncode == 0
    reports = sorted(line for line in done.stderr.splitlines() if line.startswith("skipped "))
    assert [line.split(": ")[:2] for line in reports] == [
        [f"skipped {tree}/bad_bytes.py", "UnicodeDecodeError"],
        [f"skipped {tree}/bad_codec.py", "SyntaxError"],
        [f"skipped {tree}/bad_coding.py", "SyntaxError"],
        [f"skipped {tree}/dangling.py", "FileNotFoundError"],
    ]
    assert "skipped: 4\nrestarts: 0\nredelivered: 0\n" in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter everything")
def test_a_folder_that_cannot_be_entered_is_reported(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("alpha = 1\n")
    (tmp_path / "secret").mkdir(mode=0)
    done = run(tmp_path, "--verify")
    assert done.returncode == 0
    assert f"skipped {tmp_path}/secret: " in done.stderr
    assert "skipped: 1\n" in done.stdout


def test_a_reader_that_has_seen_enough_ends_it_without_a_traceback(tree: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, str(SCRIPT), str(tree), "--workers", "1", "--verify"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(theirs)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_progress_is_plain_lines_where_there_is_no_terminal(tree: Path) -> None:
    errors = run(tree, "--workers", 1).stderr
    progress = [line.split(" ")[0] for line in errors.splitlines() if " %: " in line]
    assert progress == [str(percent) for percent in range(10, 101, 10)]
    assert "\r" not in errors


def test_progress_is_a_bar_on_a_terminal(tree: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, str(SCRIPT), str(tree)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, timeout=120, check=True)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux: the other end is closed and everything is read
        pass
    os.close(ours)
    assert "█" * 40 + " 100 %  64 of 64 files" in shown.decode()


def test_a_single_file_with_a_single_worker_survives_its_death(tree: Path) -> None:
    done = run(tree / "module_0.py", "--workers", 1, "--kill", "--verify")
    assert done.returncode == 0, done.stderr
    assert "restarts: 1" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["/no/such/folder"], "no such file or folder: /no/such/folder"),
        (["--workers", "0"], "--workers must be at least 1"),
    ],
)
def test_wrong_arguments_are_named_with_exit_code_2(arguments: list[str], complaint: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_python_files_is_named_with_exit_code_2(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert f"no Python files below {tmp_path}" in done.stderr


def group_exists(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_ends_with_130_and_leaves_nobody_behind(tmp_path: Path) -> None:
    fifo = tmp_path / "endless.py"
    os.mkfifo(fifo)
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None:
        try:
            writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)  # succeeds once a worker reads
            break
        except OSError:
            time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 130
    assert errors.strip().endswith("interrupted")
    assert "Traceback" not in errors
    while group_exists(process.pid):
        time.sleep(0.01)


def test_verification_fails_when_the_totals_differ(
    word_count: ModuleType, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = word_count.python_files([str(tree)])
    tally = word_count.Tally(word_count.Console(len(files)))
    tally.names, skipped = word_count.count_in_one_process(files)
    tally.skipped = dict.fromkeys(skipped, "unreadable")
    assert word_count.verify(files, tally)
    tally.names["alpha"] += 1
    assert not word_count.verify(files, tally)
    assert "alpha: counted 61, expected 60" in capsys.readouterr().out
    tally.names["alpha"] -= 1
    tally.skipped.popitem()
    assert not word_count.verify(files, tally)


def test_differences_names_what_is_missing_and_what_is_too_many(word_count: ModuleType) -> None:
    found = word_count.differences(Counter(a=1, b=2), Counter(a=1, b=3, c=1))
    assert found == ["b: counted 2, expected 3", "c: counted 0, expected 1"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("spam = eggs(spam)", {"spam": 2, "eggs": 1}),
        ("for i in x: pass", {"i": 1, "x": 1}),
        ("a = 'b' \"c\" # d", {"a": 1}),
        ("'''a\n'b' \"''' + c", {"c": 1}),
        ('"""a\n"b" \\""" d""" + c', {"c": 1}),
        (r"""a = rb'\'b' + c""", {"a": 1, "c": 1}),
        ("1e5 + 0x1F + 1_0.1_4j + x1", {"x1": 1}),
        ("größe = 名前", {"größe": 1, "名前": 1}),
        ("print'x'", {}),
    ],
)
def test_identifiers_are_names_outside_strings_and_comments(
    word_count: ModuleType, source: str, expected: dict[str, int]
) -> None:
    assert word_count.count_names(source) == expected


@pytest.mark.parametrize("name", ["heapq", "bisect", "sched", "this", "fnmatch", "colorsys", "keyword"])
def test_identifiers_agree_with_pythons_own_tokenizer(word_count: ModuleType, name: str) -> None:
    source = (Path(sysconfig.get_path("stdlib")) / f"{name}.py").read_text()
    names: Counter[str] = Counter()
    strings = 0  # since 3.12 Python looks into f-strings, and these are strings all the same
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        strings += kind.endswith("STRING_START") - kind.endswith("STRING_END")
        names[token.string] += kind == "NAME" and not strings
    expected = {name: times for name, times in names.items() if times and name not in keyword.kwlist}
    assert word_count.count_names(source) == expected
