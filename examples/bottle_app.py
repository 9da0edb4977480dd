"""Bottle: the middleware around it, nothing else. Run it: python examples/bottle_app.py 8000"""

from __future__ import annotations

import os
from html import escape
from wsgiref.types import WSGIApplication

import bottle
from hello import serve

from sessions_wsgi import CookieStore, Key, KeyRing, SessionMiddleware, get_session

FORM = '<form method="post"><input name="item"> <button>Add</button></form>'


def make_app(keys: KeyRing) -> WSGIApplication:
    """A shopping list; Bottle's request has the environ that `get_session` asks for."""
    app = bottle.Bottle()

    @app.get("/")  # type: ignore[untyped-decorator]
    def show() -> str:
        session = get_session(bottle.request)
        messages = "".join(f"<p>{escape(message)}</p>" for message in session.flashes())
        return messages + "".join(f"<li>{escape(item)}" for item in session.get("items", ())) + FORM

    @app.post("/")  # type: ignore[untyped-decorator]
    def add() -> None:
        session, item = get_session(bottle.request), bottle.request.forms.item
        session.setdefault("items", []).append(item)
        session.flash(f"Added {item}.")
        bottle.redirect("/")  # raises Bottle's redirection: it is saved all the same

    return SessionMiddleware(app, CookieStore(keys))


if __name__ == "__main__":
    serve(make_app(KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())))
