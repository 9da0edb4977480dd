"""One request's way through the middleware (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sessions_wsgi._told import told
from sessions_wsgi.errors import BackendError, OnEvent, logger
from sessions_wsgi.protocols import Store
from sessions_wsgi.registry import Registry
from sessions_wsgi.session import Seal

if TYPE_CHECKING:
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


_LATE = Seal.LATE


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

    def __init__(
        self, settings: Settings, environ: WSGIEnvironment, respond: StartResponse, parent: Registry | None
    ) -> None:
        # As the registry's own, whose call would cost a request that touches no session a tenth.
        self._stores, self.environ, self.parent = settings.stores, environ, parent
        self._on_event, self.opened, self.failure = settings.on_event, {}, None
        self._settings, self._respond = settings, respond
        #: Whether status and headers have left.
        self.committed = False
        self._args: tuple[Any, ...] = ()
        self._write: Callable[[bytes], object] = _over

    # What the application calls

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """Hold status and headers back; of several calls the last one counts."""
        if exc_info is None:
            if self._args or self.committed:
                raise AssertionError("start_response was called a second time without exc_info")
            self._args = (status, headers)
            return self._write_first
        self._args = (status, headers, exc_info)
        args: Any = None
        try:
            if self.committed:  # the server raises exc_info if the headers have left
                args, self._args = (status, self.headers(headers, self._settings.cache_control), exc_info), ()
                self._write = self._respond(*args)
        finally:
            exc_info = args = None  # a frame that holds its own traceback is never freed
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
        args = self._args
        if self.opened or self.failure is not None or args[0] >= "5":
            if args[0] >= "5":
                self._save_failed()
            else:
                self._tried = True
                self.commit()
            self.seal(last=last)
            args = (args[0], self.headers(args[1], self._settings.cache_control), *args[2:])
        self.committed, self._args, self.phase = True, (), _LATE  # exc_info must not be kept
        self._write = self._respond(*args)
        if last:  # `release`, without a call more
            self._respond = self._write = _over
            Registry.release(self)

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
        written, kind = self.committed, type(body)
        passes = kind is list or kind is tuple or _passes_through(body, self.environ)
        if self._args:
            try:
                self.send(last=passes)
            except BaseException as error:
                _close(body)
                answer = self.failed(error)
                if answer is None:
                    raise
                return answer
        if passes and written:  # no close() of ours will follow
            self.close()
            self.release()
        return body if passes else _Body(self, body)

    def started(self, iterator: Iterator[bytes]) -> Iterator[bytes]:
        """The first item of a body that may call `start_response` only now: commit before it leaves."""
        first = next(iterator, None)
        if not self.committed:  # by a write() of the generator
            if not self._args:
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
        """Also let go of the server: its task may hold the environ, which holds this."""
        self._respond = self._write = _over
        Registry.release(self)

    def end(self, *, raised: bool) -> None:
        """The last that happens in a request. Never raises; the second time finds nothing to do."""
        saves = self._settings.save_on_error and not self._tried
        self.seal()
        try:
            if not raised or (saves and not self.committed):
                self.close()
            else:
                self.abandon()
        except BackendError as error:
            logger.error("a destroyed session may live on: %s", error)
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


def _over(*_: object) -> Any:
    raise AssertionError("the response is complete")


def _close(body: object) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _is_failing_backend(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(BackendError)[1] is None
    return isinstance(error, BackendError)
