"""What do the options mean to a reader? Writes docs/options.md from `mq.Options`: python docs/make_options.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

import mq

PAGE = Path(__file__).with_name("options.md")

HEAD = """\
# Options

<!-- Written by docs/make_options.py from mq.Options: change it there. -->

Every option is a keyword argument of a socket's constructor, as in `mq.Push(send_hwm=100, linger=1.0)`, and holds for
the socket's whole life. `socket.options` shows what is set. Times are in seconds, counts are whole numbers; a value
of the wrong kind raises at once. There are no timeouts for sending and receiving: write `with trio.fail_after(5):`.

libzmq's options of the same meaning are given for those who know them; its times are in milliseconds, and it spells
"never" and "no limit" as -1 or 0.

| Option | Default | libzmq | Meaning |
|---|---|---|---|
"""


def options_page() -> str:
    """Return the text of docs/options.md."""
    return HEAD + "".join(map(_row, attrs.fields(mq.Options)))


def _row(option: attrs.Attribute[Any]) -> str:
    libzmq, meaning = option.metadata["libzmq"], option.metadata["text"]
    return f"| `{option.name}` | `{option.default!r}` | {libzmq if libzmq == 'none' else f'`{libzmq}`'} | {meaning} |\n"


if __name__ == "__main__":
    PAGE.write_text(options_page())
