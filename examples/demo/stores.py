"""The stores that the demo can run on, by the word for `--store`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from sessions_wsgi import CookieOptions, CookieStore, FileStore, KeyRing, MemoryStore, Store

#: The demo is plain http. There Secure cookies depend on the browser: some make an exception for localhost,
#: some do not, and other HTTP clients hardly ever do. On https leave `secure` at its default, True.
OPTIONS = CookieOptions(secure=False)


class Kind(NamedTuple):
    """One way of keeping a session, and what the panel says of it."""

    title: str
    #: What was done to the text in the cookie: "signed" or "encrypted".
    sealed: str
    note: str
    #: Makes the store, from keys and a directory of its own.
    make: Callable[[KeyRing, Path], Store]


KINDS: Mapping[str, Kind] = {
    "cookie": Kind(
        "Cookie",
        "signed",
        "The whole session is in the cookie. Anybody can read it, nobody can change it. "
        "Signing out asks the browser to forget it: a copy would still count.",
        lambda keys, _: CookieStore(keys, options=OPTIONS),
    ),
    "encrypted": Kind(
        "Cookie",
        "encrypted",
        "The whole session is in the cookie. Only the server can read or change it. "
        "Signing out asks the browser to forget it: a copy would still count.",
        lambda keys, _: CookieStore(keys, encrypt=True, options=OPTIONS),
    ),
    "file": Kind(
        "Files",
        "signed",
        "The cookie holds a random id, and a file on the server holds the session.",
        lambda keys, directory: FileStore(directory, keys, options=OPTIONS),
    ),
    "memory": Kind(
        "Memory",
        "signed",
        "The cookie holds a random id, and the server's memory holds the session.",
        lambda keys, _: MemoryStore(keys, options=OPTIONS),
    ),
}


def kinds_for(store: str) -> dict[str, Kind]:
    """The kind of each session: the visitor's on the chosen store, the basket's on another one."""
    return {"visitor": KINDS[store], "basket": KINDS["encrypted" if store == "file" else "file"]}


def make_stores(kinds: Mapping[str, Kind], keys: KeyRing, directory: Path) -> dict[str, Store]:
    """The stores by the name of their session."""
    return {name: kind.make(keys, directory / name) for name, kind in kinds.items()}
