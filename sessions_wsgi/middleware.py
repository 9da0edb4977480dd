"""Sessions for any WSGI application (PEP 3333): opened when asked for, saved before the headers leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from sessions_wsgi._exchange import Exchange, Settings
from sessions_wsgi._named import known_options
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.errors import ConfigError, OnEvent
from sessions_wsgi.protocols import Store
from sessions_wsgi.registry import ENVIRON_KEY, Registry
from sessions_wsgi.session import Seal

if TYPE_CHECKING:
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_OPEN = Seal.OPEN
_RETRY_AFTER = "5"  # seconds


@known_options
class SessionMiddleware:
    """Gives the wrapped application a registry of sessions, and saves them by itself.

    :param app: any WSGI application.
    :param stores: one store, whose session is called ``"session"``, or a mapping from names to stores.
    :param cache_control: the Cache-Control of a response that sets a cookie where the application set none;
        None leaves it alone.
    :param save_on_error: save also when the application answered 500 or higher, or raised: then only what
        needs no cookie, as the server makes the response.
    :param unavailable: the WSGI application that answers when a backend fails; by default a 503 with
        Retry-After.
    :param on_event: called with an `Event` for whatever happens to a session.
    :raises ConfigError: an option is wrong, or two sessions would share a cookie.
    """

    def __init__(
        self,
        app: WSGIApplication,
        stores: Store | Mapping[str, Store],
        *,
        cache_control: str | None = "no-store",
        save_on_error: bool = False,
        unavailable: WSGIApplication | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        for option, value in (("app", app), ("unavailable", unavailable), ("on_event", on_event)):
            if not callable(value) and (value is not None or option == "app"):
                raise ConfigError(f"{option!r} must be callable (got {type(value).__name__})", option)
        if cache_control is not None and not _is_header_text(cache_control):
            raise ConfigError("'cache_control' must be the ASCII text of a header, or None", "cache_control")
        if not isinstance(save_on_error, bool):
            raise ConfigError("'save_on_error' must be True or False", "save_on_error")
        self._app = app
        checked = _checked_stores(stores)
        self.stores = MappingProxyType(checked)
        self._settings = Settings(
            checked, cache_control, save_on_error, unavailable or _service_unavailable(), on_event
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        parent: Registry | None = environ.get(ENVIRON_KEY)
        # One that is sealed belongs to an error page that enters the application once more.
        while parent is not None and parent.phase is not _OPEN:
            parent = parent.parent
        exchange = environ[ENVIRON_KEY] = Exchange(self._settings, environ, start_response, parent)
        try:
            return exchange.returned(self._app(environ, exchange.start_response))
        except BaseException as error:
            answer = exchange.failed(error)
            if answer is None:
                raise
            return answer


def _is_header_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _checked_stores(stores: Store | Mapping[str, Store]) -> dict[str, Store]:
    named = dict(stores) if isinstance(stores, Mapping) else {"session": stores}
    if not named:
        raise ConfigError("'stores' must hold at least one store", "stores")
    cookies: dict[str, str] = {}
    for name, store in named.items():
        if not _is_store(store):
            kind = store.__name__ + " itself" if isinstance(store, type) else type(store).__name__
            fix = "; a URL goes through store_from_url" if isinstance(store, str) else ""
            rule = "must be a store or a mapping from names to stores"
            raise ConfigError(f"'stores' {rule} (got {kind}){fix}", "stores")
        cookie = store.options.cookie_name(name)
        if cookie in cookies:
            raise ConfigError(
                f"'stores': {cookies[cookie]!r} and {name!r} share the cookie {cookie!r}", "stores"
            )
        cookies[cookie] = name
    return named


def _is_store(store: object) -> bool:
    verbs = callable(getattr(store, "open", None)) and callable(getattr(store, "commit", None))
    return (
        verbs and not isinstance(store, type) and isinstance(getattr(store, "options", None), CookieOptions)
    )


def _service_unavailable() -> WSGIApplication:
    from webob.exc import HTTPServiceUnavailable

    headers = [("Retry-After", _RETRY_AFTER), ("Cache-Control", "no-store")]
    return HTTPServiceUnavailable("Sessions are not available at the moment.", headers=headers)  # type: ignore[no-any-return]
