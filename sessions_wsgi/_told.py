"""What failed, for the log, in words that hold no secret: a driver's own may quote what it was given."""

from __future__ import annotations

from collections.abc import Iterator


def told(error: BaseException) -> str:
    """An error of ours, and the kinds of those behind it, with what the system says of them."""
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(map(told, error.exceptions))
    kinds = dict.fromkeys(map(_kind, _behind(error)))  # an attempt that was repeated is told once
    return f"{error} ({' from '.join(kinds)})" if kinds else str(error)


def _behind(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    while (found := _before(error)) is not None and id(found) not in seen:
        yield found
        seen.add(id(found))
        error = found


def _before(error: BaseException) -> BaseException | None:
    # Drivers put an error of their own in place of the system's, not always with "from".
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _kind(error: BaseException) -> str:
    if isinstance(error, OSError):
        where = "" if error.filename is None else repr(error.filename)
        words = [each for each in (error.strerror, where) if each]
    else:
        words = [str(name)] if (name := getattr(error, "sqlite_errorname", None)) else []
    return ": ".join([type(error).__name__, *words])
