"""What a dict has and a `MutableMapping` has not: the sessions of other frameworks are dicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from copy import deepcopy
from typing import Any, Self


class DictLike(MutableMapping[Any, Any]):
    """A mapping that applications may use as if it were a dict."""

    __slots__ = ()

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return self.copy() | dict(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return dict(other) | self.copy() if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> Self:
        self.update(other)
        return self

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self)[::-1])

    def popitem(self) -> tuple[Any, Any]:
        """The last item, as of a dict."""
        for key in reversed(self):
            return key, self.pop(key)
        raise KeyError("the session is empty")

    def copy(self) -> dict[Any, Any]:
        """Its values as a dict."""
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return deepcopy(self.copy(), memo)
