"""The application: one page, the forms on it, and two files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from webob import Request, Response
from webob.exc import HTTPMethodNotAllowed, HTTPNotFound

from demo import pages, panel, shop
from demo.actions import ACTIONS, basket, visitor
from demo.held import Arrival, Facts, cookies_of, facts
from demo.stores import Kind, kinds_for, make_stores
from sessions_wsgi import KeyRing, Session, SessionMiddleware, get_registry

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

STATIC = Path(__file__).parent / "static"
CONTENT_TYPES = {".css": "text/css", ".svg": "image/svg+xml"}

# No script may run here, whatever somebody manages to put into a page.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def make_app(store: str = "cookie", *, keys: KeyRing, directory: Path) -> WSGIApplication:
    """The demo site with its sessions.

    :param store: a word of `demo.stores.KINDS`: where the visitor's session is kept.
    :param directory: for stores that keep files; it must exist.
    """
    kinds = kinds_for(store)
    return SessionMiddleware(Site(kinds), make_stores(kinds, keys, directory))


class Site:
    """The pages; `SessionMiddleware` around it opens and saves the sessions."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self._files = {f"/{path.name}": path for path in STATIC.iterdir()}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        response = self.respond(request)
        response.headers.update(SECURITY_HEADERS)
        body: Iterable[bytes] = response(environ, start_response)
        return body

    def respond(self, request: Request) -> Response:
        """The answer to a request."""
        path = request.environ["PATH_INFO"]
        if path in ACTIONS:
            return self.act(request) if request.method == "POST" else HTTPMethodNotAllowed(allow="POST")
        if path != "/" and path not in self._files:
            return HTTPNotFound()
        if request.method not in ("GET", "HEAD"):
            return HTTPMethodNotAllowed(allow="GET, HEAD")
        return self.page(request) if path == "/" else static(self._files[path])

    def act(self, request: Request) -> Response:
        """Carry out what a form of ours asks for, and refuse those of other sites."""
        if not visitor(request).check_csrf(request.POST.get("csrf")):
            return Response(pages.refused(), status=403)
        return ACTIONS[request.environ["PATH_INFO"]](request)

    def page(self, request: Request) -> Response:
        """The shop beside what this browser holds."""
        session, csrf = visitor(request), visitor(request).csrf_token()
        arrivals = [(each, Arrival.of(each)) for each in (session, basket(request))]
        session["pages"] = session.get("pages", 0) + 1
        main = shop.shop(session, basket(request))
        response = saved(request)
        held = [self.facts(*each, request, response) for each in arrivals]
        others = cookies_of(request).keys() - {each.name for each in held}
        response.text = pages.page(main, panel.panel(held, sorted(others), csrf))
        return response

    def facts(self, session: Session, arrival: Arrival, request: Request, response: Response) -> Facts:
        """What the panel shows of one session."""
        kind, store = self._kinds[session.name], get_registry(request).stores[session.name]
        return facts(session, arrival, request=request, response=response, kind=kind, store=store)


def saved(request: Request) -> Response:
    """A response with the sessions on it. The middleware would do that, but the panel is to show it."""
    response = Response()
    get_registry(request).save(response)
    return response


def static(path: Path) -> Response:
    """A file as it is; it has nothing to do with sessions, so none is opened."""
    content_type = CONTENT_TYPES[path.suffix]
    return Response(
        path.read_bytes(), content_type=content_type, charset="UTF-8", cache_control="max-age=600"
    )
