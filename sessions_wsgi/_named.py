"""Options by their names: a wrong one is refused with the nearest right one, wherever it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

from sessions_wsgi.errors import ConfigError

Class = TypeVar("Class", bound=type)


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
    return ConfigError(f"{owner} has no option {name!r}{nearest(name, known)}", name)


def nearest(name: str, known: Iterable[str], named: Callable[[str], str] = str) -> str:
    """The end of a message: what was probably meant, or all that there is."""
    known = sorted(known)
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {named(close[0])!r}?"
    return f"; known: {', '.join(map(named, known))}"


@contextmanager
def told_as(name: Callable[[str], str]) -> Iterator[None]:
    """Name the option of a `ConfigError` as it was set."""
    try:
        yield
    except ConfigError as error:
        option = error.option or ""
        raise ConfigError(str(error).replace(repr(option), repr(name(option)), 1), name(option)) from None
