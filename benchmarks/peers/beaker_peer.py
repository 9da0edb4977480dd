"""Beaker: a middleware, told by ``save()`` that a session has changed. Corrupt cookies give a new session."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from beaker.middleware import SessionMiddleware
from harness.places import Places
from harness.visits import Work
from harness.wsgi import HEADERS, Application, WSGIPeer

PACKAGE = "Beaker"

# It warns of each forged cookie.
warnings.filterwarnings("ignore", message=".*corrupt session.*")

_SECRET = "s" * 40


class Beaker(WSGIPeer):
    """The middleware with one set of options."""

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self._options = {
            "session.key": "session",
            "session.data_serializer": "json",
            "session.invalidate_corrupt": True,
            **{f"session.{option}": value for option, value in options.items()},
        }

    def around(self, application: Application) -> Application:
        return SessionMiddleware(application, self._options)

    def after(self, work: Work) -> Application:
        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            session = environ["beaker.session"]
            work.act(session)
            if work.writes:
                session.save()
            start_response("200 OK", list(HEADERS))
            return [b"ok"]

        return application


def make(places: Places) -> Iterator[Beaker]:
    yield Beaker("Beaker, cookie", type="cookie", validate_key=_SECRET)
    for kind, _ in places.directories():
        directory = str(places.new("beaker", kind))
        yield Beaker(
            f"Beaker, files, {kind}",
            type="file",
            data_dir=directory,
            secret=_SECRET,
            save_accessed_time=False,  # else every read writes
        )
