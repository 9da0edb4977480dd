"""Two sessions on two stores in one request. Run it: python examples/two_sessions.py 8000

/add/apple puts something into the cart; /lang/fr chooses a language; /clear ends the cart, and only the cart.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sessions_wsgi import CookieStore, FileStore, Key, KeyRing, SessionMiddleware, get_session


def shop(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Change one session or the other, and show both."""
    preferences, cart = get_session(environ, "preferences"), get_session(environ, "cart")
    match environ["PATH_INFO"].split("/")[1:]:
        case ["lang", language]:
            preferences["language"] = language
        case ["add", item]:
            cart[item] = cart.get(item, 0) + 1
        case ["clear"]:
            cart.destroy()
    text = f"language: {preferences.get('language', 'en')}\ncart: {dict(cart)}"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode("utf-8")]


def make_app(keys: KeyRing, directory: Path) -> WSGIApplication:
    """Preferences travel in the cookie; the cart stays in a file, however big it grows."""
    stores = {"preferences": CookieStore(keys), "cart": FileStore(directory, keys)}
    return SessionMiddleware(shop, stores)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ring = KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())
    with (
        suppress(KeyboardInterrupt),
        TemporaryDirectory() as folder,
        make_server("localhost", port, make_app(ring, Path(folder) / "carts")) as server,
    ):
        print(f"http://localhost:{port}", flush=True)
        server.serve_forever()
