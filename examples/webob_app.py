"""Plain WebOb: a function from request to response. Run it: python examples/webob_app.py 8000"""

from __future__ import annotations

import os
from wsgiref.types import WSGIApplication

from hello import serve
from webob import Request, Response
from webob.dec import wsgify
from webob.exc import HTTPForbidden, HTTPSeeOther

from sessions_wsgi import CookieStore, Key, KeyRing, SessionMiddleware, get_session

PAGE = '<p>{}</p><form method="post"><input type="hidden" name="csrf" value="{}"><button>Vote</button></form>'


def vote(request: Request) -> Response:
    """One vote for each visitor."""
    session = get_session(request)
    if request.method == "POST":
        if not session.check_csrf(request.POST.get("csrf")):
            return HTTPForbidden()
        session.flash("You have voted before." if session.get("voted") else "Thank you.")
        session["voted"] = True
        return HTTPSeeOther(location="/")
    message = next(iter(session.flashes()), "Do you like cookies?")
    return Response(PAGE.format(message, session.csrf_token()))


def make_app(keys: KeyRing) -> WSGIApplication:
    """The page, its session in an encrypted cookie."""
    return SessionMiddleware(wsgify(vote), CookieStore(keys, encrypt=True))


if __name__ == "__main__":
    serve(make_app(KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())))
