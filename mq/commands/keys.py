"""How are keys made? The command keygen: a pair for CURVE."""

from __future__ import annotations

import argparse

from ..keys import curve_keypair
from .standard import write


def add_keygen(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verbose=False)


async def keygen(chosen: argparse.Namespace) -> None:
    """Write a new pair of keys."""
    public, secret = curve_keypair()
    await write(b"public %b\nsecret %b\n" % (public, secret))
