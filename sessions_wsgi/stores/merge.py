"""Two requests changed one session at the same time: keep what both did.

Three ways, by top-level key: what both started from, mine, and theirs, which is already stored. Values are
compared as encoded bytes, so a change inside a list counts and an equal value written again does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

#: What becomes of a key that both sides changed: a rule, or ``(key, base, mine, theirs) -> value``.
ConflictPolicy = Literal["mine", "error"] | Callable[[Any, Any, Any, Any], Any]

Dumps = Callable[[Any], bytes]

_ABSENT: Any = object()
# What a log-in carries over whole, equal to the base or not.
_IDENTITY = ("principal", "epoch", "authenticated_ms", "max_age")


class Side(NamedTuple):
    """One of the three: what both started from, mine, theirs."""

    values: dict[Any, Any]
    extras: dict[str, Any]


class BothChanged(Exception):  # noqa: N818 - a signal inside the package
    """A key was changed on both sides and the policy is "error"."""


class Merged(NamedTuple):
    """What to store, and whether a key had been changed on both sides."""

    values: dict[Any, Any]
    extras: dict[str, Any]
    disputed: bool


def merge(base: Side, mine: Side, theirs: Side, dumps: Dumps, policy: ConflictPolicy) -> Merged:
    """Theirs with my changes.

    :raises BothChanged: the policy is "error" and a key was changed on both sides.
    """
    if theirs.extras.get("principal") not in (base.extras.get("principal"), mine.extras.get("principal")):
        return Merged(theirs.values, theirs.extras, disputed=True)  # somebody else's session by now
    values, disputed = _merge_keys(base.values, mine.values, theirs.values, dumps, policy)
    extras, _ = _merge_keys(_others(base), _others(mine), _others(theirs), dumps, _first_csrf)
    flashes = _merge_flashes(_flashes(base), _flashes(mine), _flashes(theirs), dumps)
    return Merged(values, extras | ({"flashes": flashes} if flashes else {}), disputed)


def changes(base: Side, mine: Side, dumps: Dumps) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Only what I wrote: values that are new or other than in the base, flashes that I added."""
    written = _differing(base.values, mine.values, dumps)
    values = {key: mine.values[key] for key in written if key in mine.values}
    extras = {key: value for key, value in mine.extras.items() if value != base.extras.get(key)}
    flashes = _merge_flashes(_flashes(base), _flashes(mine), [], dumps)
    extras.pop("flashes", None)
    extras |= {name: mine.extras[name] for name in _IDENTITY if name in mine.extras}
    return values, extras | ({"flashes": flashes} if flashes else {})


def _merge_keys(
    base: Mapping[Any, Any],
    mine: Mapping[Any, Any],
    theirs: Mapping[Any, Any],
    dumps: Dumps,
    policy: ConflictPolicy,
) -> tuple[dict[Any, Any], bool]:
    merged, disputed = dict(theirs), False
    their_changes = _differing(base, theirs, dumps)
    for key in _differing(base, mine, dumps):
        value = mine.get(key, _ABSENT)
        alike = _encoded(mine, key, dumps) == _encoded(theirs, key, dumps)
        if key in their_changes and (callable(policy) or not alike):  # two who add one each write the same
            value, disputed = _decided(key, base, mine, theirs, policy), True
        if value is _ABSENT:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged, disputed


def _decided(
    key: Any,
    base: Mapping[Any, Any],
    mine: Mapping[Any, Any],
    theirs: Mapping[Any, Any],
    policy: ConflictPolicy,
) -> Any:
    if policy == "error":
        raise BothChanged
    if policy == "mine":
        return mine.get(key, _ABSENT)
    return policy(key, base.get(key), mine.get(key), theirs.get(key))  # a deletion is None


def _flashes(side: Side) -> list[Any]:
    found: list[Any] = side.extras.get("flashes", [])
    return found


def _others(side: Side) -> dict[str, Any]:
    return {name: value for name, value in side.extras.items() if name != "flashes"}


def _first_csrf(key: Any, base: Any, mine: Any, theirs: Any) -> Any:  # noqa: ARG001
    """Mine, but the forms that carry their CSRF secret are out already."""
    return theirs if key == "csrf" else mine


def _differing(base: Mapping[Any, Any], other: Mapping[Any, Any], dumps: Dumps) -> dict[Any, None]:
    """The keys whose encoded values differ, in order."""
    keys: Iterable[Any] = {**base, **other}
    return {key: None for key in keys if _encoded(base, key, dumps) != _encoded(other, key, dumps)}


def _encoded(side: Mapping[Any, Any], key: Any, dumps: Dumps) -> bytes | None:
    return dumps(side[key]) if key in side else None


def _merge_flashes(base: list[Any], mine: list[Any], theirs: list[Any], dumps: Dumps) -> list[Any]:
    """Theirs without those that I read, then those that I added. Equal ones cannot be told apart."""
    before, after = Counter(map(dumps, base)), Counter(map(dumps, mine))
    read, added = before - after, after - before
    return _without(theirs, read, dumps) + _only(mine, added, dumps)


def _without(flashes: list[Any], read: Counter[bytes], dumps: Dumps) -> list[Any]:
    kept = []
    for flash in flashes:
        data = dumps(flash)
        if read[data] > 0:
            read[data] -= 1
        else:
            kept.append(flash)
    return kept


def _only(flashes: list[Any], added: Counter[bytes], dumps: Dumps) -> list[Any]:
    """The added ones: the last of several that are equal, as flashing appends."""
    found = []
    for flash in reversed(flashes):
        data = dumps(flash)
        if added[data] > 0:
            added[data] -= 1
            found.append(flash)
    return found[::-1]
