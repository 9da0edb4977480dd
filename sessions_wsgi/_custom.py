"""Classes of the application that a serializer keeps, each under a name of its own: never an import path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum, Flag
from functools import cached_property
from inspect import Parameter, signature
from typing import Any, Generic, TypeVar, cast

from sessions_wsgi._walk import Refused
from sessions_wsgi.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CustomType(Generic[T]):
    """How instances of exactly `cls` are stored, for classes that are no dataclass, Enum or NamedTuple.

    `load(dump(obj))` must be an equal object of exactly this class. Equal objects must dump alike in every
    process, or an unchanged session looks changed.
    """

    cls: type[T]
    #: From an object to a value that the serializer keeps; may hold other registered types.
    dump: Callable[[T], Any]
    #: Its opposite. Whatever it raises makes the session unreadable, which is a new session.
    load: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Named:
    """A registered class at work."""

    name: str
    cls: type
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]
    #: The payload is a dict of fields, which paths show as ``.field``.
    record: bool = False

    def take_apart(self, obj: Any) -> Any:
        try:
            return self.dump(obj)
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"taking it apart raised {type(error).__name__}") from error

    def rebuild(self, payload: Any) -> Any:
        obj = self.load(payload)
        if type(obj) is not self.cls:
            raise ValueError(f"the load of {self.name!r} made something else")
        return obj


def named_types(types: Mapping[str, type | CustomType[Any]], kept: frozenset[type]) -> dict[str, Named]:
    """The registered classes by name.

    :raises ConfigError: a name or class that cannot be registered; the message tells the rule and the fix.
    """
    if not isinstance(types, Mapping):
        raise _wrong(f"must map names to classes (got {type(types).__name__})")
    table = {name: _named(name, entry, kept) for name, entry in types.items()}
    names: dict[type, str] = {}
    for named in table.values():
        if named.cls in names:
            both = f"{names[named.cls]!r} and {named.name!r}"
            raise _wrong(f"has two names for {named.cls.__qualname__}: {both}; keep one")
        names[named.cls] = named.name
    return table


def parts_of_named(named: Named, obj: Any) -> Iterable[tuple[str, Any]]:
    """The parts of `obj`, each with its step of a path."""
    try:
        payload = named.take_apart(obj)
    except Refused:
        return ()
    if named.record:
        return [(f".{field}", part) for field, part in payload.items()]
    return [(".dump()", payload)]


def _named(name: str, entry: type | CustomType[Any], kept: frozenset[type]) -> Named:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise _wrong(f"needs names that are printable text and not empty, as 'person/1' (got {name!r})")
    cls = entry.cls if isinstance(entry, CustomType) else entry
    if not isinstance(cls, type):
        raise _wrong(f"{name!r} must be a class or a CustomType of one (got {type(cls).__name__})")
    if cls in kept:
        raise _wrong(f"{name!r} is {cls.__name__}, which is kept as it is; leave it out")
    if isinstance(entry, CustomType):
        return _custom(name, entry)
    if issubclass(cls, Enum):
        return _flag(name, cls) if issubclass(cls, Flag) else _enum(name, cls)
    return _record(name, cls, _field_names(name, cls, kept))


def _custom(name: str, custom: CustomType[Any]) -> Named:
    if not callable(custom.dump) or not callable(custom.load):
        raise _wrong(f"{name!r}: dump and load of a CustomType must be callable")
    return Named(name, custom.cls, custom.dump, custom.load)


def _enum(name: str, cls: type[Enum]) -> Named:
    return Named(name, cls, lambda member: member.name, lambda member_name: cls[member_name])


def _flag(name: str, cls: type[Flag]) -> Named:
    # Combined members have no name of their own.
    return Named(name, cls, lambda member: member.value, cls)


def _record(name: str, cls: type, names: tuple[str, ...]) -> Named:
    known = frozenset(names)

    def fields_of(obj: Any) -> dict[str, Any]:
        payload = {field: getattr(obj, field) for field in names}
        more = [each for each in getattr(obj, "__dict__", ()) if each not in known]
        for attribute in more:
            # What the constructor sets again, or is computed again, is not lost.
            if not isinstance(getattr(cls, attribute, None), cached_property) and attribute not in vars(
                cls(**payload)
            ):
                fix = "declare it as a field, or tell how: CustomType(cls, dump, load)"
                raise Refused(f"its attribute {attribute!r} is no field and is not stored; {fix}")
        return payload

    return Named(name, cls, fields_of, lambda payload: cls(**payload), record=True)


def _field_names(name: str, cls: type, kept: frozenset[type]) -> tuple[str, ...]:
    """The fields that are all of an instance, and that its constructor takes."""
    if "__dataclass_fields__" in vars(cls) and not issubclass(cls, tuple(kept)):
        names = tuple(field.name for field in fields(cast("Any", cls)))
    elif issubclass(cls, tuple) and hasattr(cls, "_fields"):
        names = tuple(cls._fields)
    else:
        raise _wrong(
            f"{name!r}: {cls.__qualname__} is no dataclass, Enum or NamedTuple of its own; "
            "tell how: CustomType(cls, dump, load)"
        )
    # An InitVar, a field with init=False or an own __init__: the fields alone do not rebuild it.
    if set(_keywords(cls)) != set(names):
        raise _wrong(
            f"{name!r}: the constructor of {cls.__qualname__} must take exactly its fields, "
            f"{', '.join(names) or 'none'}; tell how to rebuild it: CustomType(cls, dump, load)"
        )
    return names


def _keywords(cls: type) -> Iterable[str]:
    """The arguments of the constructor; one that has no name is shown with its star, which no field has."""
    by_name = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return [p.name if p.kind in by_name else str(p) for p in signature(cls).parameters.values()]


def _wrong(rule: str) -> ConfigError:
    return ConfigError(f"'types' {rule}", "types")
