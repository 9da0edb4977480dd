"""CherryPy: the middleware around its WSGI application. Run it: python examples/cherrypy_app.py 8000"""

from __future__ import annotations

import os
from html import escape
from wsgiref.types import WSGIApplication

import cherrypy
from hello import serve

from sessions_wsgi import Key, KeyRing, MemoryStore, Session, SessionMiddleware, get_session

FORM = '<form method="post"><input name="name"> <button>Sign in</button></form>'


def current() -> Session:
    """The session; CherryPy keeps the environ beside its own request."""
    return get_session(cherrypy.request.wsgi_environ)


class Site:
    """Says who is signed in."""

    @cherrypy.expose  # type: ignore[untyped-decorator]
    def index(self, name: str = "") -> str:
        session = current()
        if cherrypy.request.method == "POST" and name:
            session.login(name)
            raise cherrypy.HTTPRedirect("/")
        return f"<p>Hello {escape(session.principal)}!</p>" if session.principal else FORM

    @cherrypy.expose  # type: ignore[untyped-decorator]
    def out(self) -> None:
        current().destroy()
        raise cherrypy.HTTPRedirect("/")


def make_app(keys: KeyRing) -> WSGIApplication:
    """The site; its sessions, in memory here, take the place of the tool `sessions`, which stays off."""
    return SessionMiddleware(cherrypy.Application(Site(), "", {"/": {}}), MemoryStore(keys))


if __name__ == "__main__":
    serve(make_app(KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())))
