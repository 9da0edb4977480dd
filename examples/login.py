"""Login: sign in and out, "remember me", messages, CSRF tokens. Run it: python examples/login.py 8000"""

import os
import sys
from contextlib import suppress
from datetime import timedelta
from html import escape
from wsgiref.simple_server import make_server
from wsgiref.types import WSGIApplication

from webob import Request, Response
from webob.dec import wsgify
from webob.exc import HTTPForbidden, HTTPSeeOther

from sessions_wsgi import CookieStore, Key, KeyRing, Session, SessionMiddleware, get_session

CSRF = '<form method="post"><input type="hidden" name="csrf" value="{}">'
SIGN_IN = f"""{CSRF}<label>Name <input name="name"></label>
<label><input type="checkbox" name="remember"> remember me</label> <button>Sign in</button></form>"""
SIGN_OUT = f"{CSRF}<p>Hello {{}}!</p> <button>Sign out</button></form>"


def login(request: Request) -> Response:
    """One page: the form, or who is signed in."""
    session = get_session(request)
    if request.method == "POST":
        if not session.check_csrf(request.POST.get("csrf")):
            return HTTPForbidden()
        sign_in_or_out(session, request.POST)
        return HTTPSeeOther(location="/")
    messages = "".join(f"<p>{escape(message)}</p>" for message in session.flashes())
    form = SIGN_OUT if session.principal else SIGN_IN
    return Response(messages + form.format(session.csrf_token(), escape(session.principal or "")))


def sign_in_or_out(session: Session, form: dict[str, str]) -> None:
    """Sign in with a name; sign out without."""
    if form.get("name"):
        session.login(form["name"])  # a new id, and a fresh absolute lifetime
        session.max_age = timedelta(days=30) if "remember" in form else None
        session.flash("Welcome.")
    else:
        session.destroy()
        session.flash("Good-bye.")  # into a fresh session


def make_app(keys: KeyRing) -> WSGIApplication:
    """The page, its session in an encrypted cookie."""
    return SessionMiddleware(wsgify(login), CookieStore(keys, encrypt=True))


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ring = KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())
    with suppress(KeyboardInterrupt), make_server("localhost", port, make_app(ring)) as server:
        print(f"http://localhost:{port}", flush=True)
        server.serve_forever()
