"""Where sessions are kept: all in the cookie, or an id in the cookie and the rest on the server."""

from sessions_wsgi.stores.cookie import CookieStore
from sessions_wsgi.stores.embedded import FileStore, MemoryStore, SQLiteStore
from sessions_wsgi.stores.revocation import SessionInfo
from sessions_wsgi.stores.server import ServerStore

__all__ = ["CookieStore", "FileStore", "MemoryStore", "SQLiteStore", "ServerStore", "SessionInfo"]
