"""What applications use of a dict that a `MutableMapping` lacks, or does otherwise."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Self


class LikeDict(MutableMapping[Any, Any]):
    """A framework's own session is a dict: so is what takes its place, by its methods."""

    __slots__ = ()

    def __ior__(self, other: Mapping[Any, Any]) -> Self:
        self.update(other)
        return self

    def popitem(self) -> tuple[Any, Any]:
        """The last item, which is gone with it."""
        for key in reversed(list(self)):
            return key, self.pop(key)
        raise KeyError("the session is empty")

    def copy(self) -> dict[Any, Any]:
        """The values, in a dict of their own."""
        return dict(self)
