"""Do imports point down? The table of rooms, proved from the source."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
import mq

HOMES = {"mq": Path(mq.__file__).parent, "actors": Path(actors.__file__).parent}

FILES = {
    "errors": "values",
    "keys": "values",
    "limits": "values",
    "message": "values",
    "endpoint": "values",
    "checks": "values",
    "options": "values",
    "monitor": "values",
    "reasons": "values",
    "absent": "values",
    "pipe": "pipe",
    "home": "pipe",
    "losses": "pipe",
    "monitors": "pipe",
    "places": "pipe",
    "peers": "socket",
    "socket": "socket",
    "proxy": "surface",
    "fitting": "surface",
    "auth": "surface",
    "cli": "surface",
    "__main__": "surface",
    "__init__": "surface",
}
"""The room of each file that lies directly in mq/."""

FOLDERS = {"protocols": "protocols", "transports": "transports", "links": "links", "patterns": "patterns",
           "commands": "surface"}  # fmt: skip
"""The room of each folder in mq/."""

MAY_IMPORT = {
    "values": {"values"},
    "protocols": {"values", "protocols"},
    "transports": {"values", "transports"},
    "pipe": {"values", "pipe"},
    "links": {"values", "protocols", "transports", "pipe", "links"},
    "socket": {"values", "transports", "pipe", "links", "socket"},
    "patterns": {"values", "pipe", "socket", "patterns"},
    "surface": {"values", "socket", "patterns", "surface"},
}
"""Each room, and the rooms below it."""

SCHEMES_PROTOCOLS = {"websocket", "pgm"}
"""The protocols that a transport is made of: the one way from transports to protocols."""

OUTSIDE = {
    "values": {"attrs", "nacl"},
    "protocols": {"attrs", "nacl", "gssapi", "websockets"},
    "transports": {"attrs", "trio", "idna"},  # Trio depends on idna
    "pipe": {"attrs", "trio"},
    "links": {"attrs", "trio"},
    "socket": {"attrs", "trio"},
    "patterns": {"attrs", "trio"},
    "surface": {"attrs", "trio", "cyclopts", "rich"},
}
"""What a room may import that neither Python nor we have written."""

IO = {"asyncio", "multiprocessing", "queue", "random", "secrets", "select", "selectors", "signal", "socket", "ssl",
      "subprocess", "threading", "time"}  # fmt: skip
"""What knows of sockets, clocks, tasks or chance: not for values and protocols."""


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and file of each module of ``package``."""
    home = HOMES[package]
    for path in sorted(home.rglob("*.py")):
        parts = [package, *path.relative_to(home).with_suffix("").parts]
        yield ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts), path


def imports(name: str, path: Path) -> Iterator[str]:
    """Yield the dotted name of each thing that a module imports anywhere, also inside its functions."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part != "__init__"]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def module_of(imported: str) -> str:
    """Return the module that holds an imported name."""
    parts = imported.split(".")
    while parts[1:]:
        place = HOMES[parts[0]].joinpath(*parts[1:])
        if place.with_suffix(".py").exists() or (place / "__init__.py").exists():
            return ".".join(parts)
        parts.pop()
    return f"{parts[0]}.__init__"


def room_of(module: str) -> str:
    """Return the room that a module of mq stands in. A KeyError is a module that no room was chosen for."""
    first, *rest = module.split(".")[1:]
    return FOLDERS[first] if rest or first in FOLDERS else FILES[first]


MQ = dict(modules("mq"))
ACTORS = dict(modules("actors"))


@pytest.mark.parametrize("module", MQ)
def test_every_module_of_mq_has_a_room(module: str) -> None:
    try:
        room_of(module)
    except KeyError:
        pytest.fail(f"{module} is in no room: choose one, and say so in FILES or FOLDERS")


def test_the_map_of_rooms_names_every_module_of_mq() -> None:
    rooms = (HOMES["mq"].parent / "CONTRIBUTING.md").read_text().partition("\n`actors/` has rooms")[0]
    lines = "\n".join(rooms.split("```")[1::2]).splitlines()
    named = {name for line in lines for name in re.findall(r"\w+", line.partition("  ")[0])}
    missing = [module for module in MQ if not module.endswith("_") and module.split(".")[-1] not in named]
    assert not missing, "add them to the map in CONTRIBUTING.md"


@pytest.mark.parametrize("module", MQ)
def test_a_module_of_mq_imports_from_its_own_room_and_those_below(module: str) -> None:
    room = room_of(module)
    for imported in imports(module, MQ[module]):
        if imported.split(".")[0] != "mq":
            continue
        target = module_of(imported)
        if room == "transports" and target.split(".")[1] == "protocols":
            assert target.split(".")[2] in SCHEMES_PROTOCOLS, f"{module}, a transport, imports {target}"
            continue
        assert room_of(target) in MAY_IMPORT[room], f"{module}, in {room}, imports {target}, in {room_of(target)}"


@pytest.mark.parametrize("module", MQ)
def test_a_module_of_mq_imports_no_more_of_the_world_than_its_room_needs(module: str) -> None:
    room = room_of(module)
    for imported in imports(module, MQ[module]):
        top = imported.split(".")[0]
        if top == "mq":
            continue
        if top in sys.stdlib_module_names:
            assert room not in ("values", "protocols") or top not in IO, f"{module}, in {room}, imports {top}"
        else:
            assert top in OUTSIDE[room], f"{module}, in {room}, imports {top}"


def test_rooms_do_not_stand_in_a_circle() -> None:
    seen: set[str] = set()
    for room, below in MAY_IMPORT.items():
        assert below - {room} <= seen
        seen.add(room)


@pytest.mark.parametrize(("package", "known"), [("mq", MQ), ("actors", ACTORS)])
def test_no_module_imports_itself_by_way_of_others(package: str, known: dict[str, Path]) -> None:
    edges = {
        module: {
            module_of(each)
            for each in imports_at_run_time(module, path)
            if each.split(".")[0] == package and module_of(each) != module
        }
        for module, path in known.items()
    }
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, f"a circle of imports: {' -> '.join((*way[way.index(module):], module))}"
        if module not in done:
            for target in edges.get(module, ()):
                walk(target, (*way, module))
            done.add(module)

    for module in edges:
        if not module.endswith("__init__"):
            walk(module, ())


def imports_at_run_time(name: str, path: Path) -> Iterator[str]:
    """Yield what a module imports when it is loaded: not what only type checkers see, nor what functions import."""
    tree = ast.parse(path.read_text())
    hidden: set[ast.AST] = set()
    for node in ast.walk(tree):
        checked = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if checked or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            hidden |= {each for each in ast.walk(node) if isinstance(each, (ast.Import, ast.ImportFrom))}
    shown = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))}
    shown -= {ast.unparse(node) for node in hidden}  # type: ignore[arg-type]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for text in shown:
        node = ast.parse(text).body[0]
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


# -- actors ------------------------------------------------------------------------------------------------

ROOMS_OF_ACTORS = {
    "errors": "values",
    "values": "values",
    "protocols": "protocols",
    "scopes": "carrier",
    "codec": "carrier",
    "carrier": "carrier",
    "directories": "carrier",
    "nodes": "nodes",
    "life": "life",
    "places": "places",
    "supervision": "supervision",
    "pipelines": "pipelines",
    "services": "services",
    "cli": "surface",
    "__main__": "surface",
    "__init__": "surface",
}
"""The room of each file and folder that lies directly in actors/."""

FLOORS_OF_ACTORS = [
    "values", "protocols", "carrier", "nodes", "life", "places", "supervision", "pipelines", "services", "surface",
]  # fmt: skip
"""The rooms of actors/ from the bottom up: each may import itself and those before it."""


@pytest.mark.parametrize("module", ACTORS)
def test_a_module_of_actors_imports_from_its_own_room_and_those_below(module: str) -> None:
    floor = FLOORS_OF_ACTORS.index(ROOMS_OF_ACTORS[module.split(".")[1]])
    for imported in imports(module, ACTORS[module]):
        if imported.split(".")[0] != "actors":
            continue
        target = module_of(imported)
        below = FLOORS_OF_ACTORS.index(ROOMS_OF_ACTORS[target.split(".")[1]])
        assert below <= floor, f"{module} imports {target}, which is above it"


@pytest.mark.parametrize("module", ACTORS)
def test_values_and_protocols_of_actors_know_no_io(module: str) -> None:
    if ROOMS_OF_ACTORS[module.split(".")[1]] not in ("values", "protocols"):
        return
    for imported in imports(module, ACTORS[module]):
        top = imported.split(".")[0]
        assert top not in IO - {"secrets", "signal"}, f"{module} imports {top}"
        assert top in {"actors", "attrs", *sys.stdlib_module_names}, f"{module} imports {top}"


@pytest.mark.parametrize("module", ACTORS)
def test_only_the_carrier_of_actors_imports_mq(module: str) -> None:
    if module != "actors.carrier":
        assert not [each for each in imports(module, ACTORS[module]) if each.split(".")[0] == "mq"]


def test_the_carrier_uses_public_names_of_mq_only() -> None:
    path = ACTORS["actors.carrier"]
    for imported in imports("actors.carrier", path):
        if imported.split(".")[0] == "mq" and imported != "mq":
            assert imported.split(".")[1] in mq.__all__
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mq":
            assert node.attr in mq.__all__, f"actors/carrier.py uses mq.{node.attr}, which is not public"


def test_mq_knows_nothing_of_actors() -> None:
    for module, path in MQ.items():
        assert not [each for each in imports(module, path) if each.split(".")[0] == "actors"], module
