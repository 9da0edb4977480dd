"""What was probably meant by a name that there is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches

# What other libraries, and people, call it; meant is the first of these that there is.
_ALIASES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("cookie_name", "cookie.name", "session_name"), ("name", "key")),
    **dict.fromkeys(("key", "secret", "secret_key", "secret_keys", "signing_key"), ("keys",)),
    **dict.fromkeys(("type", "store", "backend"), ("url",)),
    **dict.fromkeys(("ttl", "expires", "lifetime"), ("lifetime.absolute", "lifetime")),
    "timeout": ("lifetime.idle", "lifetime"),
}
_CUTOFF = 0.6


def nearest(
    name: str, known: Iterable[str], named: Callable[[str], str] = str, *, misspelled: bool = True
) -> str:
    """The end of a message: what was probably meant, or all that there is."""
    known = sorted(known)
    meant = _same(name.lower(), known) or (_like(name.lower(), known) if misspelled else None)
    if meant is None:
        return f"; known: {', '.join(map(named, known))}"
    # Beaker's "key" is a name.
    also = f" (the cookie's name is {named('name')!r})" if name.lower() == "key" and "name" in known else ""
    return f"; did you mean {named(meant)!r}?{also}"


def _same(name: str, known: list[str]) -> str | None:
    """What others call so, or what has this name in a group."""
    aliases = (each for each in _ALIASES.get(name, ()) if each in known)
    return next(aliases, None) or _lasts(known).get(_last(name))


def _like(name: str, known: list[str]) -> str | None:
    lasts = _lasts(known)
    names = lasts | {each: each for each in known}
    close = get_close_matches(name, names, n=1, cutoff=_CUTOFF)
    close = close or get_close_matches(_last(name), lasts, n=1, cutoff=_CUTOFF)
    return names[close[0]] if close else None


def _lasts(known: list[str]) -> dict[str, str]:
    return {_last(each): each for each in reversed(known)}


def _last(name: str) -> str:
    """The part after the last dot, and after the word that libraries put before a cookie's attributes."""
    return name.rpartition(".")[2].removeprefix("cookie_")
