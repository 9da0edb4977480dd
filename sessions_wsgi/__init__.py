"""Sessions for any WSGI application: several at once, in cookies or on the server, saved by themselves."""

from sessions_wsgi.backends import Backend
from sessions_wsgi.codecs import EncryptedCodec, SignedCodec
from sessions_wsgi.config import store_from_url
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.envelope import Lifetime
from sessions_wsgi.errors import (
    BackendError,
    ConfigError,
    CookieTooLargeError,
    DecodeError,
    Event,
    SerializeError,
    SessionSealedError,
    SessionsError,
    UnknownSessionError,
    UsageError,
)
from sessions_wsgi.keys import Key, KeyRing
from sessions_wsgi.middleware import SessionMiddleware
from sessions_wsgi.protocols import Imported, Importer, Store
from sessions_wsgi.registry import Registry, get_registry, get_session
from sessions_wsgi.serializers import CBORSerializer, CustomType, JSONSerializer, Serializer
from sessions_wsgi.session import Session
from sessions_wsgi.stores import CookieStore, FileStore, MemoryStore, ServerStore, SessionInfo, SQLiteStore

__all__ = [
    "Backend",
    "BackendError",
    "CBORSerializer",
    "ConfigError",
    "CookieOptions",
    "CookieStore",
    "CookieTooLargeError",
    "CustomType",
    "DecodeError",
    "EncryptedCodec",
    "Event",
    "FileStore",
    "Imported",
    "Importer",
    "JSONSerializer",
    "Key",
    "KeyRing",
    "Lifetime",
    "MemoryStore",
    "Registry",
    "SQLiteStore",
    "SerializeError",
    "Serializer",
    "ServerStore",
    "Session",
    "SessionInfo",
    "SessionMiddleware",
    "SessionSealedError",
    "SessionsError",
    "SignedCodec",
    "Store",
    "UnknownSessionError",
    "UsageError",
    "get_registry",
    "get_session",
    "store_from_url",
]
