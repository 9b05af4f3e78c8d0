"""Is the vocabulary of ``statistics().dropped`` fixed? Reasons are made in one file, and the docs list all of them."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import mq
from mq import reasons

from .test_imports import modules

DOCS = Path(mq.__file__).parent.parent / "docs" / "sockets.md"


def documented() -> set[str]:
    """Return the reasons in the table of docs/sockets.md."""
    section = DOCS.read_text().partition("### Why messages are dropped")[2].partition("\n## ")[0]
    return {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}


def known() -> set[str]:
    """Return all reasons; those that name a type of socket, for the type that the docs take as an example."""
    fixed = {value for name, value in vars(reasons).items() if name.isupper()}
    return fixed | {reasons.does_not_receive("PUSH"), reasons.one_frame_only("SERVER")}


def test_the_docs_list_all_reasons_and_no_others() -> None:
    assert documented() == known()


def test_reasons_are_made_in_one_file_only() -> None:
    makers = {
        name
        for name, path in modules("mq")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Reason"
    }
    assert makers == {"mq.reasons"}


def test_reasons_with_a_word_of_their_own_take_nothing_but_a_type_of_socket() -> None:
    made = {name: function for name, function in vars(reasons).items() if inspect.isfunction(function)}
    assert {name: list(inspect.signature(function).parameters) for name, function in made.items()} == {
        "does_not_receive": ["socket_type"],
        "one_frame_only": ["socket_type"],
    }
