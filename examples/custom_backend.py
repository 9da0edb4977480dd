"""A backend of one's own, under `ServerStore`. Run it: python examples/custom_backend.py 8000"""

import os
import threading
import time
from wsgiref.types import WSGIApplication

from hello import hello, serve

from sessions_wsgi import Key, KeyRing, ServerStore, SessionMiddleware
from sessions_wsgi.backends import GONE, Conflict, Gone, Record, Version


class DictBackend:
    """Records in a dict; `sessions_wsgi.backends` says what each of the five methods owes."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._lock, self._last_version = threading.Lock(), 0

    def load(self, key: str) -> Record | None:
        record = self._records.get(key)
        return record if record and record.expires > time.time() else None  # expired is missing

    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        with self._lock:
            return None if self.load(key) else self._put(key, data, expires)

    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        with self._lock:
            record = self.load(key)
            if record is None:
                return GONE  # never create
            return self._put(key, data, expires) if record.version == version else Conflict(record)

    def touch(self, key: str, expires: float, version: Version) -> bool:
        with self._lock:
            record = self.load(key)
            if record and record.version == version:
                self._records[key] = record._replace(expires=expires)
            return bool(record and record.version == version)

    def delete(self, key: str) -> bool:
        with self._lock:
            return self.load(key) is not None and bool(self._records.pop(key))

    def _put(self, key: str, data: bytes, expires: float) -> int:
        self._last_version += 1  # of all keys together: none has a version twice, deleted in between or not
        self._records[key] = Record(data, self._last_version, expires)
        return self._last_version


def make_app(keys: KeyRing) -> WSGIApplication:
    """The application of `hello.py`, its sessions in a dict."""
    return SessionMiddleware(hello, ServerStore(DictBackend(), keys))


if __name__ == "__main__":
    serve(make_app(KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())))
