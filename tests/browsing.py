"""A browser for the tests of whole sites: it keeps cookies, follows redirects and fills in forms."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit
from wsgiref.validate import validator

from webob import Request, Response

CSRF = re.compile(r'name="csrf" value="([^"]*)"')


class Browser:
    """Asks an application by WebOb requests; PEP 3333 is checked on the way."""

    def __init__(self, app: Any) -> None:
        self.app = validator(app)
        self.jar: dict[str, str] = {}
        self.response = Response()
        #: The Set-Cookie headers of the last request, those of the redirects before it included.
        self.set_cookies: list[str] = []

    def get(self, path: str = "/") -> str:
        """The text of a page."""
        self.set_cookies = []
        return self._ask(Request.blank(path))

    def post(self, path: str, **fields: str) -> str:
        """The text of the page to which a form leads; it carries the CSRF token of the last page, if any."""
        self.set_cookies = []
        token = CSRF.search(self.response.text)
        return self._ask(Request.blank(path, POST={**({"csrf": token[1]} if token else {}), **fields}))

    def delete(self, path: str) -> str:
        """What a DELETE answers."""
        self.set_cookies = []
        return self._ask(Request.blank(path, method="DELETE"))

    def set_cookie(self, name: str) -> str | None:
        """The last Set-Cookie of this name."""
        return next((each for each in reversed(self.set_cookies) if each.startswith(f"{name}=")), None)

    def _ask(self, request: Request) -> str:
        if self.jar:
            request.headers["Cookie"] = "; ".join(f"{name}={text}" for name, text in self.jar.items())
        request.environ.pop(
            "webob.is_body_seekable", None
        )  # the validator's wsgi.input is not, as of most servers
        self.response = request.get_response(self.app)
        text: str = self.response.text
        for header in self.response.headers.getall("Set-Cookie"):
            self._keep(header)
        if self.response.status_int in (302, 303):  # 302: what frameworks answer to HTTP/1.0
            return self._ask(Request.blank(urlsplit(self.response.location).path))
        return text

    def _keep(self, header: str) -> None:
        self.set_cookies.append(header)
        name, _, value = header.split(";", maxsplit=1)[0].partition("=")
        self.jar.pop(name, None)
        if "Max-Age=0" not in header:
            self.jar[name] = value
