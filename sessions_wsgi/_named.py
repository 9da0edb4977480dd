"""Options by their names: a wrong one is refused with the nearest right one, wherever it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

from sessions_wsgi._nearest import nearest
from sessions_wsgi.errors import ConfigError

Class = TypeVar("Class", bound=type)

_NAMES = frozenset({"name", "cookie_name", "session_name"})
# An option of each of those that could be thought to name a cookie: middleware, stores, attributes.
_NAMELESS = frozenset({"stores", "options", "samesite"})


def known_options(kind: Class) -> Class:
    """A class whose constructor raises `ConfigError` for a keyword that it does not have."""
    kind.__init__ = _checked(kind.__init__, kind.__name__, named(kind))  # type: ignore[misc]
    return kind


def _checked(init: Callable[..., None], owner: str, known: frozenset[str]) -> Callable[..., None]:
    @wraps(init)
    def checked(self: Any, *args: Any, **options: Any) -> None:
        if not known.issuperset(options):
            raise unknown(owner, next(name for name in options if name not in known), known)
        init(self, *args, **options)

    return checked


def named(kind: type) -> frozenset[str]:
    """The names of what a constructor takes."""
    parameters = signature(kind.__init__).parameters.values()  # type: ignore[misc]
    return frozenset(each.name for each in parameters if each.kind is not Parameter.VAR_KEYWORD) - {"self"}


def unknown(owner: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for an option that there is not."""
    known = frozenset(known)
    if name in _NAMES and not known.isdisjoint(_NAMELESS):
        fix = "the name is the session's: SessionMiddleware(app, {'name': store})"
        return ConfigError(f"{owner} has no option {name!r}; {fix}", name)
    near = nearest(name, known)
    if known == {"store"} and "did you mean" not in near:
        near = "; it is given to the store"
    return ConfigError(f"{owner} has no option {name!r}{near}", name)


@contextmanager
def told_as(name: Callable[[str], str]) -> Iterator[None]:
    """Name the option of a `ConfigError` as it was set."""
    try:
        yield
    except ConfigError as error:
        option = error.option or ""
        raise ConfigError(str(error).replace(repr(option), repr(name(option)), 1), name(option)) from None
