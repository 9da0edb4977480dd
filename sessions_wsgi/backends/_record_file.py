"""One record in one file, which is whole or not there. POSIX only.

A file is ``b"SWF1"`` ‖ version (16) ‖ data ‖ CRC-32 of all before it (4, little-endian). Its mtime is the
deadline. It is only ever replaced as a whole, so readers need no lock. A symlink in its place is not
followed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import zlib
from contextlib import suppress

from sessions_wsgi.backends import Record, Version
from sessions_wsgi.errors import logger

_MAGIC = b"SWF1"
_WITH_CRC = 0x2144DF1C  # the CRC-32 of any text that is followed by its own

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # to open a FIFO would block for ever
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

# Errors of `open` that are the file's own: a symlink, somebody else's, a socket.
_UNREADABLE = (errno.ELOOP, errno.EMLINK, errno.EACCES, errno.ENXIO)

_CANNOT_RESERVE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)

# A session, an entry of a list, a file not yet in its place. Anything else in a folder is left alone.
_OURS = re.compile(r"[0-9a-f]{62}(\.[0-9a-f]{64})?|\.[0-9a-f]{32}\.tmp")


def read(path: str) -> Record | None:
    """The record in a file; None when there is no file, or not a whole one of ours, which is logged."""
    try:
        fd = os.open(path, _READ)
    except OSError as error:
        _check_refusal(path, error)
        return None
    try:
        return _record(fd, path)
    finally:
        os.close(fd)


def write(folder: str, name: str, data: bytes, expires: float, *, durable: bool) -> bytes:
    """Put a whole file in place and give its version; on failure what was there stays as it is."""
    version = os.urandom(16)
    temporary = f"{folder}/.{version.hex()}.tmp"
    fd = os.open(temporary, _WRITE, 0o600)
    try:
        try:
            _fill(fd, version, data)
            _set_deadline(fd, expires, durable=durable)
        finally:
            os.close(fd)
        os.replace(temporary, f"{folder}/{name}")
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        sync(folder)
    return version


def touch(path: str, expires: float, version: Version, now: float, *, durable: bool) -> bool:
    """Move the deadline of a file, unless it has passed or the version is another one."""
    try:
        fd = os.open(path, _READ)
    except OSError as error:
        _check_refusal(path, error)
        return False
    try:
        record = _record(fd, path)
        if record is None or record.version != version or record.expires <= now:
            return False
        _set_deadline(fd, expires, durable=durable)
    finally:
        os.close(fd)
    return True


def remove(folder: str, name: str, *, durable: bool) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(f"{folder}/{name}")
        if durable:
            sync(folder)


def sync(folder: str) -> None:
    """Flush what was made, renamed or removed in a folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # the root may be a symlink
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_stale(path: str, now: float, folder: int | None = None) -> bool:
    """Whether a file of ours has expired, or is temporary: a killed writer's, if we hold the lock.

    `path` is relative to a folder's descriptor, if there is one.
    """
    name = os.path.basename(path)
    if _OURS.fullmatch(name) is None:
        return False
    try:
        mtime = os.stat(path, dir_fd=folder, follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return False
    return mtime <= now or is_temporary(name)


def is_temporary(name: str) -> bool:
    """Whether a file of ours is one that was not put in its place."""
    return name.startswith(".")


def _check_refusal(path: str, error: OSError) -> None:
    """Raise what is not the file's own fault; that there is none is nobody's."""
    if error.errno == errno.ENOENT:
        return
    if error.errno not in _UNREADABLE:
        raise error
    os.stat(path, follow_symlinks=False)  # fails when it is a folder that refuses us, not the file
    logger.warning("session file %s is not readable (%s): no session", path, error.strerror)


def _record(fd: int, path: str) -> Record | None:
    found = os.fstat(fd)
    content = b""
    if stat.S_ISREG(found.st_mode):
        content = os.read(fd, found.st_size)
        while len(content) < found.st_size and (more := os.read(fd, found.st_size - len(content))):
            content += more
    # Whoever makes our directory anew after somebody else removed it could plant records in it.
    if found.st_uid not in (os.geteuid(), 0):
        content = b""
    if len(content) < 24 or content[:4] != _MAGIC or zlib.crc32(content) != _WITH_CRC:
        logger.warning("session file %s is damaged or foreign: no session", path)
        return None
    return Record(content[20:-4], content[4:20], found.st_mtime)


def _fill(fd: int, version: bytes, data: bytes) -> None:
    content = _MAGIC + version + data
    content += zlib.crc32(content).to_bytes(4, "little")
    # Without blocks of its own, ext4 flushes a file that is renamed over another one: twice the time.
    try:
        os.posix_fallocate(fd, 0, len(content))
    except AttributeError:
        pass  # macOS has none
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise
    written = os.write(fd, content)
    while written < len(content):
        written += os.write(fd, content[written:])


def _set_deadline(fd: int, expires: float, *, durable: bool) -> None:
    mtime = round(expires * 1e9)
    os.utime(fd, ns=(mtime, mtime))
    if durable:
        os.fsync(fd)
