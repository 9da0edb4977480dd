"""What is for sale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Good(NamedTuple):
    """Something for sale."""

    name: str
    cents: int


#: By number: baskets hold numbers, so a price cannot be tampered with or grow old in a basket.
GOODS: Mapping[int, Good] = {
    1: Good("Apple", 60),
    2: Good("Pear", 75),
    3: Good("Plum", 35),
    4: Good("Apricot", 50),
}


def total(basket: Mapping[int, int]) -> int:
    """What the basket costs, in cents."""
    return sum(GOODS[number].cents * count for number, count in basket.items() if number in GOODS)


def price(cents: int) -> str:
    """The amount as people write it."""
    return f"€ {cents // 100}.{cents % 100:02}"
