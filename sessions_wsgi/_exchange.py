"""One request's way through the middleware (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sessions_wsgi._commit import Opened
from sessions_wsgi._headers import may_be_shared
from sessions_wsgi._nested import give_back
from sessions_wsgi._told import told
from sessions_wsgi.errors import BackendError, OnEvent, logger
from sessions_wsgi.protocols import Store
from sessions_wsgi.registry import ENVIRON_KEY, Registry
from sessions_wsgi.session import Seal

if TYPE_CHECKING:
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


_OPEN, _LATE, _SEALED = Seal.OPEN, Seal.LATE, Seal.SEALED


def _over(*_: object) -> Any:
    raise AssertionError("the response is complete")


@dataclass(frozen=True, slots=True)
class Settings:
    """What `SessionMiddleware` was told."""

    stores: dict[str, Store]
    cache_control: str | None
    save_on_error: bool
    unavailable: WSGIApplication
    on_event: OnEvent | None


class Exchange(Registry):
    """The sessions of a request behind the middleware: it holds the response back until they are saved."""

    _tried = False  # to save
    holds_back = True
    _write: Callable[[bytes], object] = staticmethod(_over)
    _headers: list[tuple[str, str]]

    def __init__(
        self, settings: Settings, environ: WSGIEnvironment, respond: StartResponse, parent: Registry | None
    ) -> None:
        # As the registry's own, whose call would cost a request that touches no session a tenth.
        self._stores, self.environ, self.parent = settings.stores, environ, parent
        self._on_event, self.opened, self.failure = settings.on_event, {}, None
        self._settings, self._respond = settings, respond
        #: Whether status and headers have left.
        self.committed = False
        # What the application gave `start_response`.
        self._status: str | None = None
        self._exc_info: ExcInfo | None = None

    # What the application calls

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """Hold status and headers back; of several calls the last one counts."""
        if exc_info is None:
            if self._status is not None or self.committed:
                raise AssertionError("start_response was called a second time without exc_info")
            self._status, self._headers = status, headers
            return self._write_first
        try:
            if self.committed:  # the server raises exc_info if the headers have left
                headers = self.headers(headers, self._settings.cache_control)
                self._write = self._respond(status, headers, exc_info)
            else:
                self._status, self._headers, self._exc_info = status, headers, exc_info
        finally:
            exc_info = None  # a frame that holds its own traceback is never freed
        return self._write_first

    def _write_first(self, data: bytes) -> object:
        if not self.committed:
            self.send()
        return self._write(data)

    # The commit

    def send(self, *, last: bool = False) -> None:
        """Save the sessions, then let status and headers go.

        :param last: no `close` of ours will follow.
        :raises SessionsError: a session could not be saved; nothing was sent.
        """
        status, headers = self._status, self._headers
        assert status is not None
        if self.opened or self.failure is not None or status >= "5":
            self._save_for(status)
            if self.parent is not None and self.parent.phase is _OPEN:
                give_back(self)
            self.seal(last=last)
            headers = self.headers(headers, self._settings.cache_control)
        self.committed, self._status, self.phase = True, None, _LATE
        if self._exc_info is None:
            self._write = self._respond(status, headers)
        else:
            exc_info, self._exc_info = self._exc_info, None  # it must not be kept
            self._write = self._respond(status, headers, exc_info)
        if last:
            self.release()

    def _save_for(self, status: str) -> None:
        """Save the sessions, as the application's status tells."""
        if status < "5":
            self._tried = True
            self.commit()
        else:
            self._save_failed()

    def _opened_late(self, opened: Opened) -> None:
        super()._opened_late(opened)
        # Where another one was open, the headers tell caches already.
        if self.phase is _LATE and len(self.opened) == 1 and may_be_shared(self._headers):
            opened[0].note("uncacheable", "opened when the headers had left, without Vary: Cookie")

    def _save_failed(self) -> None:
        """The application answered 500 or higher."""
        if self.failure is not None:
            raise self.failure  # a framework made its own page of it
        if self._settings.save_on_error:
            self._tried = True
            self.commit()
        else:
            self.abandon()

    # What becomes of the application's answer

    def returned(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """The application returned: commit if it has called `start_response`, wrap the body if need be."""
        kind, status = type(body), self._status
        whole = kind is list or kind is tuple
        if whole and status is not None and self._exc_info is None:
            # Nearly every response: as `send` and `release`, without their calls.
            headers = self._headers
            if self.opened or self.failure is not None:
                self._save_for(status)
                for session, _, _ in self.opened.values():
                    session.seal = _SEALED
                self.failure = None  # its traceback holds this
                headers = self.headers(headers, self._settings.cache_control)
            self.committed, self.phase = True, _SEALED
            self._respond(status, headers)
            self._respond, environ, parent = _over, self.environ, self.parent
            self.environ = {"HTTP_COOKIE": environ.get("HTTP_COOKIE")}
            if parent is not None and parent.phase is _OPEN:
                environ[ENVIRON_KEY] = parent
                give_back(self)
            return body
        written, passes = self.committed, whole or _passes_through(body, self.environ)
        if status is not None:
            try:
                self.send(last=passes)
            except BaseException:
                _close(body)
                raise
        if passes and written:  # no close() of ours will follow
            self.close()
            self.release()
        return body if passes else _Body(self, body)

    def started(self, iterator: Iterator[bytes]) -> Iterator[bytes]:
        """The first item of a body that may call `start_response` only now: commit before it leaves."""
        first = next(iterator, None)
        if not self.committed:  # by a write() of the generator
            if self._status is None:
                raise AssertionError("the application did not call start_response before its first item")
            self.send()
        return iter(() if first is None else (first,))

    def failed(self, error: BaseException) -> Iterable[bytes] | None:
        """Something was raised: nothing is saved but what `save_on_error` says. The answer, None to raise."""
        fresh, environ, respond = not self.committed, self.environ, self._respond
        self.end(raised=True)
        if fresh and _is_failing_backend(error):
            logger.error("sessions are not available: %s", told(error))
            return self._settings.unavailable(environ, partial(self._start_anyway, respond))
        return None

    def _start_anyway(
        self,
        respond: StartResponse,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
    ) -> Callable[[bytes], object]:
        """Start another answer, with the cookies of those sessions that could be saved."""
        headers = self.headers(headers, self._settings.cache_control)
        return respond(status, headers, *([] if exc_info is None else [exc_info]))

    def release(self) -> None:
        """Also let go of the server, whose task may hold the environ, which holds this, and of tracebacks."""
        self._respond = self._write = _over
        self._exc_info = self.failure = None
        Registry.release(self)

    def end(self, *, raised: bool) -> None:
        """The last that happens in a request. Never raises; the second time finds nothing to do."""
        saves = self._settings.save_on_error and not self._tried
        self.seal()
        if not raised or (saves and not self.committed):
            self.close()
        else:
            with suppress(BackendError):  # which was told
                self.abandon()
        self.release()


class _Body:
    """The application's body, which may open and change sessions until it is closed."""

    __slots__ = ("_answer", "_body", "_exchange", "_raised")

    def __init__(self, exchange: Exchange, body: Iterable[bytes]) -> None:
        self._exchange, self._body = exchange, body
        self._answer: Iterable[bytes] = ()
        self._raised = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            iterator = iter(self._body)
            if not self._exchange.committed:
                yield from self._exchange.started(iterator)
            # Not "yield from": closing this generator would close the application's iterator, too.
            for item in iterator:
                yield item
        except GeneratorExit:
            raise
        except BaseException as error:
            self._raised = True
            answer = self._exchange.failed(error)
            if answer is None:
                raise
            self._answer = answer
        for item in self._answer:
            yield item

    def close(self) -> None:
        """Close the application's body, once, then save what its sessions still have to say."""
        exchange, body = self._exchange, self._body
        self._body = ()
        try:
            try:
                _close(body)
            finally:
                _close(self._answer)
        except BaseException:
            self._raised = True
            raise
        finally:
            exchange.end(raised=self._raised or not exchange.committed)


def _passes_through(body: object, environ: WSGIEnvironment) -> bool:
    """Whether the server must get the very object: a list, as it uses the length, or a file to send."""
    if isinstance(body, list | tuple):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None:
        return False
    return isinstance(body, wrapper) if isinstance(wrapper, type) else hasattr(body, "read")


def _close(body: object) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _is_failing_backend(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(BackendError)[1] is None
    return isinstance(error, BackendError)
