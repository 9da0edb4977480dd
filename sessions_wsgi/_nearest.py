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


def nearest(name: str, known: Iterable[str], named: Callable[[str], str] = str) -> str:
    """The end of a message: what was probably meant, or all that there is."""
    known = sorted(known)
    meant = _meant(name.lower(), known)
    if meant is None:
        return f"; known: {', '.join(map(named, known))}"
    # Beaker's "key" is a name.
    also = f" (the cookie's name is {named('name')!r})" if name.lower() == "key" and "name" in known else ""
    return f"; did you mean {named(meant)!r}?{also}"


def _meant(name: str, known: list[str]) -> str | None:
    alias = next((each for each in _ALIASES.get(name, ()) if each in known), None)
    if alias is not None:
        return alias
    last, lasts = _last(name), {_last(each): each for each in reversed(known)}
    if last in lasts:
        return lasts[last]
    names = lasts | {each: each for each in known}
    close = get_close_matches(name, names, n=1, cutoff=_CUTOFF) or get_close_matches(last, lasts, n=1)
    return names[close[0]] if close else None


def _last(name: str) -> str:
    """The part after the last dot, and after the word that libraries put before a cookie's attributes."""
    return name.rpartition(".")[2].removeprefix("cookie_")
