"""Does what the words say still hold? Their code runs, their links lead somewhere, their commands exist.

Every block marked ``python`` in README.md and docs/ is a program of its own, and must end without complaint. A block
marked ``text`` right below one is exactly what it prints.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mq
from docs.make_options import options_page
from docs.make_reference import reference_page

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]

PYTHON = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<prints>.*?)^```\n)?", re.M | re.S)
EXCERPT = re.compile(r"^```py\n(.*?)^```\n", re.M | re.S)
CONSOLE = re.compile(r"^```console\n(.*?)^```\n", re.M | re.S)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.M)
PROOF = re.compile(r"\]\((?P<file>\.\./tests/[^)]*)\)|`(?P<test>test_\w+)`")


def blocks() -> Iterator[object]:
    for page in PAGES:
        text = page.read_text()
        for match in PYTHON.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            yield pytest.param(match["code"], match["prints"], id=f"{page.relative_to(ROOT)}:{line}")


def excerpts() -> Iterator[object]:
    for page in PAGES:
        text = page.read_text()
        for match in EXCERPT.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            yield pytest.param(match[1], id=f"{page.relative_to(ROOT)}:{line}")


def commands() -> Iterator[object]:
    for page in PAGES:
        for block in CONSOLE.findall(page.read_text()):
            for line in block.splitlines():
                if line.startswith("$ "):
                    yield pytest.param(line[2:], id=f"{page.name}: {line[2:]}")


@pytest.mark.parametrize(("code", "prints"), list(blocks()))
def test_a_block_of_code_runs(code: str, prints: str | None, tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(code)
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if prints is not None:
        assert done.stdout == prints


@pytest.mark.parametrize("excerpt", list(excerpts()))
def test_an_excerpt_stands_in_an_example(excerpt: str) -> None:
    def unindented(text: str) -> str:
        return "\n".join(line.strip() for line in text.splitlines()) + "\n"

    examples = (ROOT / "examples").glob("*.py")
    assert any("\n" + unindented(excerpt) in unindented(example.read_text()) for example in examples)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda example: example.name)
def test_every_example_is_in_the_index(example: Path) -> None:
    assert f"[{example.name}]({example.name})" in (ROOT / "examples" / "README.md").read_text()


@pytest.mark.parametrize("command", list(commands()))
def test_a_command_names_files_modules_and_targets_that_exist(command: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for part in command.split(" && "):
        words = shlex.split(part)
        if words[0] == "make":
            assert words[1] in targets
        if "-m" in words and (module := words[words.index("-m") + 1]) not in ("venv", "pytest", "ruff", "mypy"):
            assert (ROOT / module / "__main__.py").exists()
        for word in words:
            if word.endswith(".py") or word.startswith(("tests/", ".ci/")):
                assert (ROOT / word.split("::")[0]).exists(), word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, heading in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
        if heading:
            headings = HEADING.findall((page.parent / target).read_text())
            assert heading in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}, heading


def proofs() -> Iterator[object]:
    """Yield each test that a row of the page of conformance names, with the file that the row says it is in."""
    for row in (ROOT / "docs" / "conformance.md").read_text().splitlines():
        if row.startswith("| "):
            name, _, here = row.strip("| ").partition(" | ")
            file = ""
            for match in PROOF.finditer(here):
                file = match["file"] or file
                if match["test"]:
                    yield pytest.param(file, match["test"], id=f"{name}: {match['test']}")


@pytest.mark.parametrize(("file", "test"), list(proofs()))
def test_what_conformance_names_is_a_test(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / "docs" / file).read_text(), re.M)


def test_every_row_of_conformance_names_a_test_or_says_why_not() -> None:
    rows = [row for row in (ROOT / "docs" / "conformance.md").read_text().splitlines() if row.startswith("| ")]
    assert len(rows) > 100
    for row in rows:
        cells = row.strip("| ").split(" | ")
        assert len(cells) == 3, row
        assert cells[2] == "Here" or "`test_" in cells[2] or cells[2].startswith(("Not yet", "Trio's own")), row


def test_the_page_of_options_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "options.md").read_text()
    assert page == options_page(), "docs/options.md is out of date: run python docs/make_options.py"


def test_the_reference_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "reference.md").read_text()
    assert page == reference_page(), "docs/reference.md is out of date: run python docs/make_reference.py"
    assert all(f"\n### {name}\n" in page for name in mq.__all__ if name not in ("Socket", "Options"))
