"""Falcon: the middleware around it, sessions of a JSON API. Run it: python examples/falcon_app.py 8000"""

from __future__ import annotations

import os
from wsgiref.types import WSGIApplication

import falcon
from hello import serve

from sessions_wsgi import CookieStore, Key, KeyRing, SessionMiddleware, get_session


class Visits:
    """A resource: counts, and forgets."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        session = get_session(request)  # a Falcon request has its environ as .env
        session["visits"] = session.get("visits", 0) + 1
        response.media = {"visits": session["visits"]}

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        get_session(request).destroy()
        response.status = falcon.HTTP_NO_CONTENT


def make_app(keys: KeyRing) -> WSGIApplication:
    """The API with sessions in signed cookies."""
    app = falcon.App()
    app.add_route("/", Visits())
    return SessionMiddleware(app, CookieStore(keys))


if __name__ == "__main__":
    serve(make_app(KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())))
