"""Visit the running demo site as a browser would: ``drive_demo.py HOST PORT``. Needs nothing but Python."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

DAY = 86400


class Browser:
    """Keeps cookies, follows redirects, fills in the tokens of forms."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.jar: dict[str, str] = {}
        self.set_cookies: list[str] = []
        self.status, self.page = 0, ""

    def get(self, path: str = "/") -> str:
        self.set_cookies = []
        return self._ask("GET", path)

    def post(self, path: str, **fields: str) -> str:
        self.set_cookies = []
        token = re.search('name="csrf" value="([^"]*)"', self.page)
        assert token is not None, "the page has no form with a token"
        return self._ask("POST", path, urlencode({"csrf": token[1], **fields}))

    def last_set(self, name: str) -> str:
        """The last Set-Cookie of this name, or the empty text."""
        return next((each for each in reversed(self.set_cookies) if each.startswith(f"{name}=")), "")

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        if self.jar:
            headers["Cookie"] = "; ".join(f"{name}={text}" for name, text in self.jar.items())
        connection = HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            self.status, self.page = response.status, response.read().decode()
        finally:
            connection.close()
        for header in response.headers.get_all("Set-Cookie", []):
            self._keep(header)
        if self.status == 303:
            return self._ask("GET", urlsplit(response.headers["Location"]).path)
        assert self.status < 500, f"{method} {path} was answered {self.status}"
        return self.page

    def _keep(self, header: str) -> None:
        self.set_cookies.append(header)
        name, _, text = header.partition(";")[0].partition("=")
        self.jar.pop(name, None)
        if "Max-Age=0;" not in header:
            self.jar[name] = text


def first_page(browser: Browser) -> None:
    assert "What this browser holds" in browser.get()
    assert set(browser.jar) == {"visitor"}, "an empty basket needs no cookie"


def sign_in(browser: Browser) -> None:
    page = browser.post("/sign-in", name="Ada <script>")
    assert "Ada &lt;script&gt;" in page
    assert "<script" not in page
    assert "Max-Age" not in browser.last_set("visitor"), "nobody asked to be remembered"


def flash_once(browser: Browser) -> None:
    assert "Welcome, " in browser.post("/sign-in", name="Ada")
    assert "Welcome, " not in browser.get()


def basket(browser: Browser) -> None:
    for number in ("1", "1", "3"):
        browser.post("/basket/add", number=number)
    assert "€ 1.55" in browser.get()
    assert not browser.last_set("basket"), "it did not change, so it need not be sent"
    assert "€ 0.35" in browser.post("/basket/take-out", number="1")


def remember_me(browser: Browser) -> None:
    browser.post("/sign-in", name="Ada", remember="1")
    for _ in range(2):
        age = re.search(r"; Max-Age=(\d+);", browser.last_set("visitor"))
        assert age is not None, "no Max-Age"
        assert 29 * DAY < int(age[1]) <= 30 * DAY
        browser.get()


def forged_form(browser: Browser) -> None:
    browser.post("/sign-out", csrf="forged")
    assert browser.status == 403
    assert "Signed in as" in browser.get()


def tampered_cookie(browser: Browser) -> None:
    text = browser.jar["visitor"]
    browser.jar["visitor"] = text[:9] + ("A" if text[9] != "A" else "B") + text[10:]
    page = browser.get()
    assert browser.status == 200
    assert "was rejected: forged" in page
    assert "Signed in as" not in page
    assert "€ 0.35" in page, "the basket is a session of its own"
    assert "was rejected" not in browser.get(), "a new session took its place"


def sign_out(browser: Browser) -> None:
    browser.post("/sign-in", name="Ada")
    page = browser.post("/sign-out")
    assert "You are signed out." in page
    assert "Signed in as" not in browser.get()


STEPS: tuple[Callable[[Browser], None], ...] = (
    first_page,
    sign_in,
    flash_once,
    basket,
    remember_me,
    forged_form,
    tampered_cookie,
    sign_out,
)


def main(host: str, port: str) -> None:
    """One visit, step by step."""
    browser = Browser(host, int(port))
    for step in STEPS:
        step(browser)
        print(f"demo: {step.__name__.replace('_', ' ')}: ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
