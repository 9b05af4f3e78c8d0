"""How is a key pair for CURVE generated in a shell? By the command keygen."""

from __future__ import annotations

import argparse

from ..keys import curve_keypair
from .standard import write


def add_keygen(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verbose=False)


async def keygen(chosen: argparse.Namespace) -> None:
    """Write a new key pair."""
    public, secret = curve_keypair()
    await write(b"public %b\nsecret %b\n" % (public, secret))
