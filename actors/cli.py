"""What can be done from the command line? `actors run module:tree`, or `python -m actors run module:tree`."""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.errors import Error, SpecError
from actors.services.run import run
from actors.values.spec import Child, Spec, Supervisor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 when the tree failed, 2 when it was not found."""
    name = "actors" if Path(sys.argv[0]).stem == "actors" else "python -m actors"  # the console script, or the package
    parser = argparse.ArgumentParser(prog=name, description="Run supervision trees.")
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="run a tree until it ends, or SIGINT or SIGTERM comes")
    runner.add_argument("tree", metavar="module:tree", help="where the Supervisor (or Child) is")
    runner.add_argument("-q", "--quiet", action="store_true", help="do not log")
    chosen = parser.parse_args(arguments)
    if not chosen.quiet:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        tree = load(chosen.tree)
    except (SpecError, ImportError, AttributeError) as error:
        print(f"{chosen.tree}: {error}", file=sys.stderr)
        return 2
    try:
        run(tree)
    except Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def load(where: str) -> Spec:
    """The spec called "module:name"."""
    module, _, name = where.partition(":")
    sys.path.insert(0, os.getcwd())
    tree = getattr(importlib.import_module(module), name or "tree")
    if not isinstance(tree, Child | Supervisor):
        raise SpecError(f"expected a Supervisor or a Child, found {type(tree).__name__}")
    return tree
