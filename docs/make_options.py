"""How does docs/options.md follow from `mq.Options`? Run python docs/make_options.py to write the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

import mq

PAGE = Path(__file__).with_name("options.md")

HEAD = """\
# Options

<!-- Written by docs/make_options.py from mq.Options: change it there. -->

Each option is a keyword argument of the constructor of a socket, such as `mq.Push(send_hwm=100, linger=1.0)`. An option
never changes during the life of the socket. `socket.options` holds all values. Times are in seconds, and counts are
whole numbers. A value of the wrong type raises an error at once. There are no timeout options for sending and
receiving: write `with trio.fail_after(5):`.

The third column names the libzmq option with the same meaning. In libzmq, times are in milliseconds, and -1 or 0 stands
for "never" and "no limit".

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
