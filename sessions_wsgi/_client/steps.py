"""The requests that a browser makes: what was asked for, and where redirects lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypedDict
from urllib.parse import urlencode, urljoin, urlsplit

from webob import Request, Response

from sessions_wsgi._client.sites import place
from sessions_wsgi.errors import UsageError

Fields = Mapping[str, Any] | Iterable[tuple[str, Any]]

_FORM = "application/x-www-form-urlencoded"
_AS_GET = {301: ("POST",), 302: ("POST",), 303: ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class RequestOptions(TypedDict, total=False):
    """What every request of a `Client` can be told."""

    #: Fields of the query string.
    params: Fields
    #: Fields of a form; a file is ``(name, content)``.
    form: Fields
    #: Anything that JSON knows, sent as such.
    json: Any
    #: The bytes of the body; say what they are in `headers`.
    body: bytes
    headers: Mapping[str, str]
    #: The page that causes the request, as ``https://other.example``; by default one of the same site.
    site: str
    #: In a frame of that page, or fetched by it; otherwise it is a link or a form that leads away from it.
    embedded: bool
    #: Go where redirects lead, as long as that is the same host.
    follow: bool


class Step(NamedTuple):
    """One request on the way to an answer."""

    method: str
    url: str
    environ: dict[str, Any]
    body: bytes


def first(method: str, url: str, options: RequestOptions) -> Step:
    """The request that was asked for.

    :raises UsageError: it has two bodies.
    """
    if sum(kind in options for kind in ("form", "json", "body")) > 1:
        raise UsageError("a request has one body: 'form', 'json' or 'body'")
    if "params" in options:
        url += ("&" if urlsplit(url).query else "?") + urlencode(_pairs(options["params"]), doseq=True)
    request = Request.blank(url, headers=dict(options.get("headers", {})), **_form(options))
    request.method = method
    if "json" in options:
        request.content_type, request.json = "application/json", options["json"]
    if "body" in options:
        request.body = options["body"]
    return Step(method, url, _plain(request), request.body)


def _form(options: RequestOptions) -> dict[str, Any]:
    if "form" not in options:
        return {}
    fields = _pairs(options["form"])
    has_files = any(isinstance(value, tuple) for _, value in fields)
    return {"POST": fields, "content_type": "multipart/form-data" if has_files else _FORM}


def _pairs(fields: Fields) -> list[tuple[str, Any]]:
    return list(fields.items() if isinstance(fields, Mapping) else fields)


def _plain(request: Request) -> dict[str, Any]:
    """The environ as a server makes it: WebOb's notes would be wrong behind a middleware."""
    return {key: value for key, value in request.environ.items() if not key.startswith("webob.")}


def following(step: Step, response: Response) -> Step | None:
    """Where a redirect leads; None when it is none, or leads away from this host."""
    location = response.headers.get("Location")
    if response.status_int not in _REDIRECTS or location is None:
        return None
    url = urljoin(step.url, location).partition("#")[0]
    if urlsplit(url).scheme not in {"http", "https"} or place(url).host != place(step.url).host:
        return None
    kept: tuple[str, ...] = ("HTTP_", "CONTENT_")
    method, body = step.method, step.body
    if method in _AS_GET.get(response.status_int, ()):
        kept, method, body = ("HTTP_",), "GET", b""
    moved = _plain(Request.blank(url, method=method))
    headers = {key: text for key, text in step.environ.items() if key.startswith(kept)}
    return Step(method, url, {**moved, **headers, "HTTP_HOST": moved["HTTP_HOST"]}, body)


def origin(url: str) -> str:
    """The Origin header of requests from a page."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
