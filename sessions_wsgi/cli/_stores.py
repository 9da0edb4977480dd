"""``sessions-wsgi list``, ``revoke``, ``purge`` and ``init``: on what a store keeps on the server."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from sessions_wsgi._urls import kind_of, scheme_of
from sessions_wsgi.backends import Lists, Purges
from sessions_wsgi.cli._interrupt import Interrupt
from sessions_wsgi.cli._output import Output, Table
from sessions_wsgi.cli._sources import settings_of, store_of, url_of
from sessions_wsgi.errors import BackendError, ConfigError, UsageError
from sessions_wsgi.keys import Key
from sessions_wsgi.session import require_principal
from sessions_wsgi.stores import CookieStore, ServerStore
from sessions_wsgi.stores.revocation import SessionInfo


def list_sessions(args: Namespace, output: Output, _clock: Callable[[], float]) -> int:
    """Show the sessions that a principal is signed in with."""
    store, _ = _of_principal(args, output)
    sessions = store.sessions_of(args.principal)
    rows = [(info.handle, _iso(info.created), _iso(info.last_seen), info.label or "") for info in sessions]
    if rows:
        shown: str | Table = Table(("HANDLE", "CREATED", "LAST SEEN", "LABEL"), rows)
    else:
        shown = "no sessions"
    output.show({"sessions": list(map(_as_dict, sessions))}, shown)
    return 0


def revoke(args: Namespace, output: Output, _clock: Callable[[], float]) -> int:
    """End all sessions of a principal, or one of them."""
    store, backend = _of_principal(args, output)
    if args.handle is not None:
        return _end(store, args, output)
    known = len(store.sessions_of(args.principal)) if isinstance(backend, Lists) else None
    store.revoke(args.principal)
    words = "logged out everywhere, from the next request on"
    counted = "" if known is None else f"; sessions on the list: {known}"
    if known == 0:
        words = "nobody is signed in under this name, as far as the list tells; it is what login() was given"
    output.show({"revoked": True, "sessions": known}, words + counted)
    return 0


def _end(store: CookieStore | ServerStore, args: Namespace, output: Output) -> int:
    if store.end(args.principal, args.handle):
        output.show({"ended": True, "handle": args.handle}, "ended")
        return 0
    output.failed("this principal has no session with this handle; list shows them", ended=False)
    return 1


def purge(args: Namespace, output: Output, _clock: Callable[[], float]) -> int:
    """Remove what has expired, and say how much it was, also when that was not all."""
    store = _server_store(args, output)
    if not isinstance(store.backend, Purges):
        output.show({"removed": 0}, "nothing to do: this server drops what has expired by itself")
        return 0
    removed = 0
    with Interrupt() as interrupt, output.progress("removing what has expired", "removed") as shown:

        def progress(so_far: int) -> None:
            nonlocal removed
            removed = so_far
            shown(so_far)
            interrupt.check()

        status, said = _purge(store, progress, output)
    if status == 0:
        output.show({"removed": removed}, f"removed: {removed}")
    else:
        output.failed(f"{said}; removed so far: {removed}", removed=removed, interrupted=status == 130)
    return status


def _purge(store: ServerStore, progress: Callable[[int], None], output: Output) -> tuple[int, str]:
    try:
        store.purge(progress)
    except KeyboardInterrupt:
        return 130, "interrupted; run it again for the rest"
    except BackendError as error:
        return 1, output.explained(error)
    return 0, ""


def init(args: Namespace, output: Output, _clock: Callable[[], float]) -> int:
    """Make the tables of a store, if they are not there."""
    backend = _server_store(args, output, must_exist=False).backend
    make: Callable[[], object] | None = getattr(backend, "init", None)
    if make is None:
        output.show({"init": False}, "nothing to do: this store needs no tables")
        return 0
    make()
    output.show({"init": True}, "ready: the tables are there")
    return 0


def _server_store(args: Namespace, output: Output, *, must_exist: bool = True) -> ServerStore:
    url = url_of(args.url, output)
    scheme = scheme_of(url)
    if scheme == "memory":
        raise ConfigError("'url' memory: is inside the process of the site, out of reach from here", "url")
    if scheme == "cookie":
        raise ConfigError("'url' cookie: keeps nothing on the server; give the URL of its revocations", "url")
    if must_exist and scheme in ("file", "sqlite"):
        _require_there(kind_of(url).arguments(url)[0])
    store: ServerStore = store_of(url, settings_of(args))
    return store


def _require_there(path: str) -> None:
    if os.path.exists(path):
        return
    slashes = (
        "" if os.path.isabs(path) else "; three slashes begin in the current directory, four are absolute"
    )
    where = f"'url' leads to nothing: there is no {os.path.abspath(path)}"
    raise ConfigError(f"{where}{slashes}; the site makes what it names at first use", "url")


def _of_principal(args: Namespace, output: Output) -> tuple[CookieStore | ServerStore, Any]:
    """The store that knows who is signed in, and its backend."""
    try:
        require_principal(args.principal)
    except UsageError:
        raise ConfigError(
            "'PRINCIPAL' must be printable and not empty: what login() is given", "principal"
        ) from None
    store = _server_store(args, output)
    if args.kind == "server":
        return store, store.backend
    return _revocable(store, settings_of(args).get("audience", "")), store.backend


def _revocable(store: ServerStore, audience: str) -> CookieStore:
    """The cookie store whose revocations are kept in the backend of this one."""
    try:
        return CookieStore(
            Key.generate(),
            revocations=store.backend,
            lifetime=store.lifetime,
            serializer=store._serializer,
            audience=audience,
        )
    except ConfigError as error:
        raise ConfigError(f"with --kind cookie, {error}", error.option) from None


def _iso(moment: Any) -> str:
    text: str = moment.isoformat(timespec="seconds")
    return text


def _as_dict(info: SessionInfo) -> dict[str, Any]:
    times = {"created": _iso(info.created), "last_seen": _iso(info.last_seen)}
    return {"handle": info.handle, **times, "label": info.label}
