"""Without the middleware: WebOb, saved by hand. Run it: python examples/without_middleware.py 8000"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from wsgiref.simple_server import make_server
from wsgiref.types import WSGIApplication

from webob import Request, Response
from webob.dec import wsgify

from sessions_wsgi import CookieStore, Key, KeyRing, MemoryStore, get_registry


def make_app(keys: KeyRing) -> WSGIApplication:
    """An application that asks its stores itself."""
    store, drafts = CookieStore(keys), MemoryStore(keys)

    def application(request: Request) -> Response:
        session = store.get(request, "session")  # the same object, however often it is asked for
        session["visits"] = session.get("visits", 0) + 1
        if request.path_info == "/draft":
            draft = drafts.get(request, "draft")
            draft["text"] = request.params.get("text", "")
        response = Response(f"Visit {session['visits']}.", content_type="text/plain")
        get_registry(request).save(response)  # all that were opened; session.save(response) saves one
        return response

    wrapped: WSGIApplication = wsgify(application)
    return wrapped


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ring = KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())
    with suppress(KeyboardInterrupt), make_server("localhost", port, make_app(ring)) as server:
        print(f"http://localhost:{port}", flush=True)
        server.serve_forever()
