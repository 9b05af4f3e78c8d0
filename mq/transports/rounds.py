"""Which of a host's addresses is tried first? Another address in each round of attempts.

An address may accept connections and belong to another program, or never answer. The next round then begins with
another address.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeAlias

from attrs import define, field

Address: TypeAlias = tuple[int, tuple[Any, ...]]
"""An address family, and an address of that family in the form for connect()."""


@define
class Rounds:
    """The rounds of attempts to reach an endpoint since the last completed handshake, and what they tried."""

    _count: int = 0
    _tried: dict[Address, int] = field(factory=dict)
    """The last round that tried an address."""
    _spent: dict[Address, int] = field(factory=dict)
    """The last round that began with an address, or in which it accepted a connection."""

    def begin(self, addresses: Collection[Address]) -> Sequence[Address]:
        """Return ``addresses`` in the order of a new round: families in turn, those not tried for longest first."""
        self._count += 1
        known = set(addresses)
        self._tried = {each: at for each, at in self._tried.items() if each in known}
        self._spent = {each: at for each, at in self._spent.items() if each in known}
        order = sorted(
            _families_in_turn(addresses), key=lambda each: (self._tried.get(each, 0), self._spent.get(each, 0))
        )
        self._spent[order[0]] = self._count
        return order

    def trying(self, address: Address) -> None:
        """Note that an attempt at ``address`` begins."""
        self._tried[address] = self._count

    def answered(self, address: Address) -> None:
        """Note that ``address`` accepted a connection. If the handshake succeeds, `forget` follows."""
        self._spent[address] = self._count

    def forget(self) -> None:
        """Forget all rounds, after a completed handshake."""
        self._tried.clear()
        self._spent.clear()


def _families_in_turn(addresses: Collection[Address]) -> list[Address]:
    """Return ``addresses`` without repetitions, one of each family in turn, beginning with that of the first."""
    families: dict[int, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        families.setdefault(address[0], []).append(address)
    return [each for each in chain.from_iterable(zip_longest(*families.values())) if each is not None]
