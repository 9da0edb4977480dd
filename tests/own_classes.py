"""Values of classes of their own, as frameworks hand them out."""

from __future__ import annotations

from enum import IntEnum


class Lazy(str):
    """A translation string, or markup."""

    __slots__ = ("domain",)


class Size(IntEnum):
    BIG = 3
