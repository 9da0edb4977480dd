"""Values of a class of their own, taken for what they are made of, as `json` takes them.

A translation string or a `SafeString` is the text that it is, a member of an `IntEnum` the number, an
`OrderedDict` a dict. Frameworks whose sessions are JSON keep them so; our serializers refuse to guess.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Any

from sessions_wsgi._takeover import REFUSALS
from sessions_wsgi._walk import DEPTH
from sessions_wsgi.serializers import JSONSerializer
from sessions_wsgi.session import Session

Keeps = Callable[[Any], bool]

_SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None), bytes})
_BOXES: frozenset[type] = frozenset({dict, list, tuple})


def kept_by(store: object) -> Keeps:
    """Whether the serializer of a store keeps a value as it is: by its class, say, that was registered."""
    dumps = (getattr(store, "_serializer", None) or JSONSerializer()).dumps

    def keeps(value: Any) -> bool:
        try:
            dumps(value)
        except REFUSALS:
            return False
        return True

    return keeps


def make_plain(session: Session, store: object) -> None:
    """Take what was changed in a session for what it is made of, where its store would not keep it."""
    if session.state != "changed":
        return
    keeps = kept_by(store)
    session.stored_values = plain(session.stored_values, keeps)
    if "flashes" in session.extras:
        session.extras["flashes"] = plain(session.extras["flashes"], keeps)


def plain(value: Any, keeps: Keeps | None = None) -> Any:
    """The value with instances of subclasses as those of the built-in class, in the order of `json`.

    :param keeps: says of which it is not to be done.
    """
    return _plain(value, keeps, DEPTH, {})


def _plain(value: Any, keeps: Keeps | None, depth: int, done: dict[int, Any]) -> Any:
    """:param done: results by identity, so that lists which hold each other take no longer than others."""
    kind = type(value)
    if kind in _SCALARS or (kind not in _BOXES and keeps is not None and keeps(value)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if depth < 0 or not isinstance(value, dict | list | tuple):
        return value  # the serializer keeps it, or names the place
    if id(value) not in done:
        done[id(value)] = value
        done[id(value)] = _box(value, keeps, depth - 1, done)
    return done[id(value)]


def _box(box: Any, keeps: Keeps | None, depth: int, done: dict[int, Any]) -> Any:
    """The very same if nothing in it is another: somebody may hold it, and go on writing into it."""
    parts = [*box, *box.values()] if isinstance(box, dict) else [*box]
    found = [_plain(part, keeps, depth, done) for part in parts]
    if type(box) in _BOXES and all(map(is_, parts, found)):
        return box
    if isinstance(box, dict):
        return dict(zip(found[: len(box)], found[len(box) :], strict=True))
    return found if isinstance(box, list) else tuple(found)
