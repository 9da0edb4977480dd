"""A store of one's own: options, open, commit. Run it: python examples/custom_store.py 8000"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from wsgiref.types import WSGIApplication

from hello import hello, serve

from sessions_wsgi import CookieOptions, DecodeError, Key, KeyRing, Session, SessionMiddleware, SignedCodec


class PreferencesStore:
    """Signed JSON without times, for choices that never expire; scripts of the page may read them."""

    options = CookieOptions(httponly=False, max_age=400 * 24 * 3600)

    def __init__(self, keys: KeyRing) -> None:
        self._codec = SignedCodec(keys, "preferences")

    def open(self, name: str, texts: Sequence[str]) -> Session:
        rejected = None
        for text in texts:
            try:
                values = json.loads(self._codec.open(name, text))
            except DecodeError as error:
                rejected = rejected or error.reason
            else:
                return Session(name, values, options=self.options, is_new=False, origin=text)
        return Session(name, options=self.options, rejected=rejected)

    def commit(self, session: Session) -> str | None:
        if session.state == "destroyed":
            return ""
        text = self._codec.seal(session.name, json.dumps(dict(session), sort_keys=True).encode())
        if text == session.origin or not (session or session.origin):
            return None
        session.origin = text
        return text


def make_app(keys: KeyRing) -> WSGIApplication:
    """The application of `hello.py`, on this store."""
    return SessionMiddleware(hello, PreferencesStore(keys))


if __name__ == "__main__":
    serve(make_app(KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())))
