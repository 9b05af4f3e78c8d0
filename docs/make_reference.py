"""How does docs/reference.md follow from the code? Run python docs/make_reference.py to write the page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

import mq

PAGE = Path(__file__).with_name("reference.md")

HEAD = """\
# Reference

<!-- Written by docs/make_reference.py from the code and its docstrings: change it there. -->

This page lists every public name of `mq`, with its arguments, its result and its errors. The guides explain how to use
them together: [sockets](sockets.md), [requests](request-reply.md), [publishing](publish-subscribe.md),
[proxies](proxy.md). The constructor of a socket takes [options](options.md) as keyword arguments, such as
`mq.Push(send_hwm=100)`. `async` marks a call that must be awaited. `async with` marks a call that opens a block.
"""

FIRST = (mq.Push, mq.Pull, mq.Pair, mq.Req, mq.Rep, mq.Dealer, mq.Router, mq.Pub, mq.Sub, mq.XPub, mq.XSub)
"""The best-known types. Methods that other types share with them are documented there."""

SECTIONS = {
    "Sockets": "The members of each type, in addition to the members of [all sockets](#all-sockets).",
    "Events": "The events that `monitor()` yields. All have the fields of `Event`.",
    "Statistics": "The result of `statistics()`.",
    "Errors": "All errors derive from `Error`, and some also from a built-in exception.",
    "Functions": "",
}


class _Bare(str):
    """An annotation that is shown without quotation marks."""

    __slots__ = ()
    __repr__ = str.__str__


def reference_page() -> str:
    """Return the text of docs/reference.md."""
    public = {kind.__name__: kind for kind in FIRST} | {name: getattr(mq, name) for name in mq.__all__}
    told: dict[object, str] = {}
    sections: dict[str, list[str]] = {name: [] for name in SECTIONS}
    for name, value in public.items():
        if value not in (mq.Socket, mq.Options):
            sections[_section(value)].append(_entry(name, value, told))
    parts = [HEAD, "## All sockets\n", _text(mq.Socket), *_members(mq.Socket, object, told)]
    for title, entries in sections.items():
        parts += [f"## {title}\n", f"{SECTIONS[title]}\n" if SECTIONS[title] else "", *entries]
    return "\n".join(part for part in parts if part)


def _section(value: Any) -> str:
    if not inspect.isclass(value):
        return "Functions"
    for base, section in ((mq.Socket, "Sockets"), (mq.Event, "Events"), (Exception, "Errors")):
        if issubclass(value, base):
            return section
    return "Statistics"


def _entry(name: str, value: Any, told: dict[object, str]) -> str:
    if not inspect.isclass(value):
        return f"### {name}\n\n{_signature(name, value)}\n\n{_text(value)}"
    if issubclass(value, mq.Socket):
        return "\n".join([f"### {name}\n", _text(value), *_members(value, mq.Socket, told)])
    if attrs.has(value):
        fields = "".join(f"- `{field.name}: {field.type}`\n" for field in attrs.fields(value))
        return f"### {name}\n\n{_text(value)}\n{fields}"
    kinds = ", ".join(f"`{base.__name__}`" for base in value.__mro__[1:] if issubclass(base, Exception))
    return f"### {name}\n\n{_text(value)}\nKinds: {kinds}.\n"


def _members(kind: type, base: type, told: dict[object, str]) -> Iterator[str]:
    """Yield an entry for each public method and property of ``kind`` that is not that of ``base``.

    ``told`` maps a member to the type that documents it. For other types, the entry is only a link to that type.
    """
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        if name.startswith("_") or member is inspect.getattr_static(base, name, None):
            continue
        if isinstance(member, property):
            head = f"**`{name}: {member.fget.__annotations__['return']}`**"
        elif inspect.isfunction(member):
            head = _signature(name, member)
        else:
            continue
        where = told.setdefault(member, kind.__name__)
        yield f"{head}\n\n{_text(member)}" if where == kind.__name__ else f"{head} as [{where}](#{where.lower()})\n"


def _signature(name: str, function: Any) -> str:
    inner = inspect.unwrap(function)
    signature = inspect.signature(inner)
    parameters = [
        parameter.replace(annotation=_bare(parameter.annotation))
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    returns = signature.return_annotation
    prefix = ""
    if inspect.isasyncgenfunction(inner):
        prefix, returns = "async with ", str(returns).replace("AsyncIterator[", "").removesuffix("]")
    elif inspect.iscoroutinefunction(inner):
        prefix = "async "
    shown = signature.replace(parameters=parameters, return_annotation=_bare(returns))
    return f"**`{prefix}{name}{shown}`**"


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _text(value: Any) -> str:
    return f"{inspect.getdoc(value)}\n"


if __name__ == "__main__":
    PAGE.write_text(reference_page())
