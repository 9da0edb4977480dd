"""Counts what one request does, whatever the code looks like: the interpreter's profiler tells each call."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

# Built-in functions by module and name; methods by type and name.
_BUILTINS = {
    "HMAC": {"HMAC.finalize", "HMAC.verify", "_hashlib.hmac_digest"},
    "AEAD": {"AESGCM.encrypt", "AESGCM.decrypt"},
    "clock": {"time.time", "time.time_ns", "Clock.__call__"},
    "random": {"posix.urandom", "posix.getrandom"},
    "SQL": {"Connection.execute", "Cursor.execute", "Connection.executemany", "Connection.commit"},
    "sent": {"socket.sendall", "socket.send"},
}
_SYSTEM = {
    "open", "read", "write", "close", "stat", "lstat", "fstat", "replace", "rename", "unlink", "mkdir",
    "utime", "posix_fallocate", "fsync", "ftruncate", "listdir", "scandir", "access", "link",
}  # fmt: skip
_OS_MODULES = {"posix": _SYSTEM, "fcntl": {"flock", "lockf", "fcntl"}, "_io": {"open"}}
_SERIALIZER = {
    "CBORSerializer.dumps": "dumps",
    "CBORSerializer.dumps_envelope": "dumps",
    "CBORSerializer.loads": "loads",
}
_BACKEND = {"load", "create", "update", "touch", "delete", "link", "unlink", "linked", "purge"}


def counted(work: Callable[[], object]) -> dict[str, int]:
    """How often `work` does what costs: serializer, backend, HMAC, AEAD, system calls, clock and so on."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            kind = _of_builtin(arg)
        elif event == "call":
            kind = _of_function(frame)
        else:
            return
        if kind:
            found[kind] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return dict(sorted(found.items()))


def _of_builtin(function: Any) -> str:
    name, owner = function.__name__, getattr(function, "__self__", None)
    module = getattr(function, "__module__", None)
    if module in _OS_MODULES:
        if name in _OS_MODULES[module]:
            return "system"
        qualified = f"{module}.{name}"
    else:
        qualified = f"{module or type(owner).__name__}.{name}"
    return next((kind for kind, names in _BUILTINS.items() if qualified in names), "")


def _of_function(frame: FrameType) -> str:
    code, module = frame.f_code, frame.f_globals.get("__name__", "")
    if not module.startswith("sessions_wsgi."):
        return "clock" if code.co_qualname == "ManualClock.__call__" else ""
    if code.co_qualname in _SERIALIZER:
        return _SERIALIZER[code.co_qualname]
    owner, _, name = code.co_qualname.rpartition(".")
    return "backend" if owner.endswith("Backend") and name in _BACKEND else ""
