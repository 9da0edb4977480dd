"""What Flask's own sessions keep and a store may not: written the way Flask writes it, inside its tags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.json.tag import TaggedJSONSerializer

from sessions_wsgi.ext._plain import Keeps, plain
from sessions_wsgi.session import Session

_TAGS = TaggedJSONSerializer()
_SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})
_BOXES: frozenset[type] = frozenset({dict, list, tuple})


@contextmanager
def as_stored(session: Session, keeps: Keeps) -> Iterator[Session]:
    """The session with values of types that its store keeps; afterwards the very objects as before."""
    values, flashes = session.stored_values, session.extras.get("flashes")
    try:
        stored, told = {key: _tagged(value, keeps) for key, value in values.items()}, _tagged(flashes, keeps)
    except RecursionError:  # it holds itself: the serializer says where
        stored, told = values, flashes
    session.stored_values = stored
    if flashes:
        session.extras["flashes"] = told
    try:
        yield session
    finally:
        if session.stored_values is stored:
            session.stored_values = values
        else:  # merged with what another request stored
            restore_values(session)
        if flashes and session.extras.get("flashes") is told:
            session.extras["flashes"] = flashes
        else:
            restore_flashes(session)


def restore_values(session: Session) -> None:
    """Take the tags off what a store loaded."""
    session.stored_values = {key: _untagged(value) for key, value in session.stored_values.items()}


def restore_flashes(session: Session) -> None:
    """Take the tags off the messages that a store loaded."""
    if "flashes" in session.extras:
        session.extras["flashes"] = _untagged(session.extras["flashes"])


def _tagged(value: Any, keeps: Keeps) -> Any:
    kind = type(value)
    if kind in _SCALARS or (kind not in _BOXES and keeps(value)):
        return value
    if isinstance(value, dict):
        return _escaped({key: _tagged(item, keeps) for key, item in value.items()})
    if isinstance(value, list | tuple):
        items = [_tagged(item, keeps) for item in value]
        if isinstance(value, list):
            return items
        return tuple(items) if keeps(()) else {" t": items}
    if isinstance(value, str | int | float) and not callable(getattr(value, "__html__", None)):
        return plain(value)  # as it comes back from JSON
    return _TAGS.tag(value)  # Markup, bytes, UUID, datetime; anything else stays, and is refused by its place


def _escaped(box: dict[Any, Any]) -> dict[Any, Any]:
    """A dict that would be taken for a tag, inside the tag that Flask has for that."""
    key = next(iter(box), None)
    return {" di": {f"{key}__": box[key]}} if len(box) == 1 and key in _TAGS.tags else box


def _untagged(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        box = {key: _untagged(item) for key, item in value.items()}
        try:
            return _TAGS.untag(box)
        except (ValueError, TypeError, KeyError, AttributeError):  # it only looks like one of Flask's
            return box
    if kind is list or kind is tuple:
        return kind(map(_untagged, value))
    return value
