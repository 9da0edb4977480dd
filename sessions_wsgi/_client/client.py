"""A browser without a window: requests, cookies, redirects."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urljoin

from webob import Response

from sessions_wsgi._client.jar import Jar
from sessions_wsgi._client.opened import open_session
from sessions_wsgi._client.serving import serve
from sessions_wsgi._client.sites import Visit, place
from sessions_wsgi._client.steps import RequestOptions, Step, first, following, origin
from sessions_wsgi._named import known_options
from sessions_wsgi.cookies import CookieOptions, set_cookie
from sessions_wsgi.errors import UsageError
from sessions_wsgi.protocols import Store
from sessions_wsgi.session import Session

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_MAX_REDIRECTS = 20  # as browsers


@known_options
class Client:
    """Asks an application as a browser would, and keeps its cookies as browsers do.

    Scheme and host matter: Secure cookies need https, or a loopback host. Each response is a whole
    `webob.Response`; what the application raises is raised.

    :param app: any WSGI application.
    :param base_url: where the application is, without a path; what requests are relative to. Give absolute
        URLs for other hosts: the application gets them all.
    :param clock: gives seconds since the epoch; cookies expire by it. Give it to the stores, too.
    """

    def __init__(
        self,
        app: WSGIApplication,
        base_url: str = "https://localhost",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not callable(app):
            raise UsageError(f"'app' must be a WSGI application (got {type(app).__name__})")
        if place(base_url).path != "/":
            raise UsageError(f"'base_url' must not have a path (got {base_url!r})")
        self.app, self.base_url, self._clock = app, base_url, clock
        #: The cookies, with all their attributes.
        self.jar = Jar(clock)
        #: The cookies that the last request set and a browser ignores: name and reason.
        self.refused: list[tuple[str, str]] = []

    # Cookies

    @property
    def cookies(self) -> dict[str, str]:
        """Name and value of the cookies that a request to the root of `base_url` sends."""
        return self.cookies_for("/")

    def cookies_for(self, url: str = "/", *, script: bool = False) -> dict[str, str]:
        """Name and value of the cookies that a request sends; with `script`, those that scripts there see."""
        found = self.jar.sent_to(place(urljoin(self.base_url, url)), Visit(), script=script)
        return {cookie.name: cookie.value for cookie in reversed(found)}

    def set_cookie(self, name: str, value: str, options: CookieOptions | None = None) -> None:
        """Put a cookie into the jar, such as one of `make_cookie`; an empty value removes it.

        :raises UsageError: a browser would refuse it.
        """
        here = place(self.base_url)
        options = options or CookieOptions(secure=here.is_secure)
        age: Any = options.max_age
        self.receive(set_cookie(options.cookie_name(name), value, options, age, self._clock()))

    def receive(self, header: str) -> None:
        """Put into the jar what a Set-Cookie header of `base_url` sets.

        :raises UsageError: a browser would refuse it.
        """
        reason = self.jar.receive(place(self.base_url), header, Visit())
        if reason:
            name = header.partition("=")[0]
            raise UsageError(f"a browser at {self.base_url} refuses the cookie {name!r}: {reason}")

    def session(self, store: Store, name: str = "session") -> AbstractContextManager[Session]:
        """Open this visitor's session for reading and writing; see `open_session`."""
        return open_session(self, store, name)

    # Requests

    def get(self, url: str = "/", **options: Unpack[RequestOptions]) -> Response:
        """`request` with the method GET."""
        return self.request("GET", url, **options)

    def head(self, url: str = "/", **options: Unpack[RequestOptions]) -> Response:
        """`request` with the method HEAD."""
        return self.request("HEAD", url, **options)

    def options(self, url: str = "/", **options: Unpack[RequestOptions]) -> Response:
        """`request` with the method OPTIONS."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str = "/", **options: Unpack[RequestOptions]) -> Response:
        """`request` with the method POST."""
        return self.request("POST", url, **options)

    def put(self, url: str = "/", **options: Unpack[RequestOptions]) -> Response:
        """`request` with the method PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str = "/", **options: Unpack[RequestOptions]) -> Response:
        """`request` with the method PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str = "/", **options: Unpack[RequestOptions]) -> Response:
        """`request` with the method DELETE."""
        return self.request("DELETE", url, **options)

    def request(self, method: str, url: str = "/", **options: Unpack[RequestOptions]) -> Response:
        """The response, with the cookies kept that it sets.

        :param url: relative to `base_url`, or absolute.
        :param options: see `RequestOptions`.
        :raises UsageError: the options do not go together, or redirects do not end.
        """
        self.refused = []
        source = options.get("site", "")
        if options.get("embedded") and not source:
            raise UsageError("'embedded' needs 'site', the page in which the request is embedded")
        visit = Visit(method.upper(), place(source).site if source else "", bool(options.get("embedded")))
        step = first(visit.method, urljoin(self.base_url, url), options)
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._ask(step, visit, source)
            after = following(step, response) if options.get("follow") else None
            if after is None:
                return response
            step, visit = after, visit._replace(method=after.method)
        raise UsageError(f"more than {_MAX_REDIRECTS} redirects, the last one to {step.url!r}")

    def _ask(self, step: Step, visit: Visit, source: str) -> Response:
        target = place(step.url)
        environ = {**step.environ, "wsgi.input": io.BytesIO(step.body), "REMOTE_ADDR": "127.0.0.1"}
        sent = "; ".join(cookie.text for cookie in self.jar.sent_to(target, visit))
        if sent:
            environ["HTTP_COOKIE"] = "; ".join(filter(None, (sent, environ.get("HTTP_COOKIE"))))
        if visit.method not in {"GET", "HEAD"}:
            environ.setdefault("HTTP_ORIGIN", origin(source or step.url))
        response = serve(self.app, environ)
        for header in response.headers.getall("Set-Cookie"):
            reason = self.jar.receive(target, header, visit)
            if reason:
                self.refused.append((header.partition("=")[0], reason))
        return response
