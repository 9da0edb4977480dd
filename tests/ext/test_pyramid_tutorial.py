"""A wiki in the shape that Pyramid's tutorials teach: a security policy, CSRF checks, pages in a database.

Each visit is made twice, over Pyramid's own sessions and over ours, and must be answered alike.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("pyramid")

from pyramid.authentication import SessionAuthenticationHelper
from pyramid.authorization import ACLHelper, Allow, Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token, new_csrf_token
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.interfaces import ISecurityPolicy
from pyramid.response import Response
from pyramid.security import forget, remember
from pyramid.session import SignedCookieSessionFactory
from webtest import TestApp
from zope.interface import implementer

from sessions_wsgi import CookieOptions, CookieStore, FileStore, MemoryStore
from sessions_wsgi.ext.pyramid import session_factory

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
PLAIN = CookieOptions(secure=False)
TOKEN = re.compile(r"(?<=value=)[0-9a-f]+")

TABLES = """
CREATE TABLE member (name TEXT PRIMARY KEY, hash TEXT);
CREATE TABLE page (name TEXT PRIMARY KEY, text TEXT, author TEXT);
INSERT INTO page VALUES ('Front', 'Welcome.', NULL);
"""


def hashed(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


@implementer(ISecurityPolicy)
class SecurityPolicy:
    """Who is signed in stands in the session; what they may is in the context."""

    def __init__(self) -> None:
        self._session, self._acl = SessionAuthenticationHelper(), ACLHelper()

    def identity(self, request: Any) -> Any:
        name = self._session.authenticated_userid(request)
        row = request.registry.database.execute("SELECT name FROM member WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def authenticated_userid(self, request: Any) -> Any:
        return request.identity

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        who = [Everyone] if request.identity is None else [Everyone, Authenticated, request.identity]
        return self._acl.permits(context, who, permission)

    def remember(self, request: Any, userid: str, **more: Any) -> Any:
        return self._session.remember(request, userid, **more)

    def forget(self, request: Any, **more: Any) -> Any:
        return self._session.forget(request, **more)


class Page:
    """What a route leads to: anybody may view, members may add, the author may edit."""

    def __init__(self, request: Any) -> None:
        self.name = request.matchdict["page"]
        query = "SELECT text, author FROM page WHERE name = ?"
        self.row = request.registry.database.execute(query, (self.name,)).fetchone()

    def __acl__(self) -> Any:
        author = Authenticated if self.row is None or self.row[1] is None else self.row[1]
        return [(Allow, Everyone, "view"), (Allow, author, "edit")]


def layout(request: Any, body: str) -> Response:
    """A page: who is here, how many were seen, messages by queue, and a form with its token."""
    told = "".join(
        f"<p class={queue or 'info'}>{text}</p>"
        for queue in ("", "error")
        for text in request.session.pop_flash(queue)
    )
    request.session["seen"] = request.session.get("seen", 0) + 1
    form = f"<form method=post><input name=csrf_token value={get_csrf_token(request)}></form>"
    return Response(f"<nav>{request.identity} {request.session['seen']}</nav>{told}{body}{form}")


def view_page(context: Page, request: Any) -> Any:
    if context.row is None:
        raise HTTPNotFound
    return layout(request, f"<h1>{context.name}</h1>{context.row[0]}")


def edit_page(context: Page, request: Any) -> Any:
    if request.method == "GET":
        return layout(request, f"edit {context.name}")
    row = context.name, request.POST["text"], request.authenticated_userid
    request.registry.database.execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?)", row)
    request.session.flash(f"{context.name} is saved.", allow_duplicate=False)
    return HTTPSeeOther(request.route_path("view", page=context.name))


def sign_up(request: Any) -> Any:
    name, password = request.POST["name"], request.POST["password"]
    try:
        request.registry.database.execute("INSERT INTO member VALUES (?, ?)", (name, hashed(password)))
    except sqlite3.IntegrityError:
        request.session.flash(f"{name} is taken.", "error")
    else:
        request.session.flash(f"{name}, you may sign in.")
    return HTTPSeeOther(request.route_path("sign_in"))


def sign_in(request: Any) -> Any:
    if request.method == "GET":
        return layout(request, "sign in")
    name, query = request.POST["name"], "SELECT hash FROM member WHERE name = ?"
    row = request.registry.database.execute(query, (name,)).fetchone()
    if row is None or row[0] != hashed(request.POST["password"]):
        request.session.flash("Not that name, or not that password.", "error")
        return layout(request, "sign in")
    new_csrf_token(request)
    request.session.flash(f"Hello, {name}.")
    return HTTPSeeOther(request.params.get("next", "/Front"), headers=remember(request, name))


def sign_out(request: Any) -> Any:
    headers = forget(request)
    new_csrf_token(request)
    return HTTPSeeOther("/Front", headers=headers)


def leave(request: Any) -> Any:
    """A sign-out that keeps nothing."""
    request.session.invalidate()
    return HTTPSeeOther("/Front")


def forbidden(request: Any) -> Any:
    if request.identity is not None:
        return Response("not yours", status=403)
    return HTTPSeeOther(request.route_path("sign_in", _query={"next": request.path}))


class Site:
    """The wiki over one kind of sessions, and a browser for each visitor."""

    def __init__(self, factory: Any) -> None:
        self.database = sqlite3.connect(":memory:")
        self.database.executescript(TABLES)
        config = Configurator(session_factory=factory)
        config.registry.database = self.database
        config.set_security_policy(SecurityPolicy())
        config.set_default_csrf_options(require_csrf=True)
        config.add_forbidden_view(forbidden)
        for view in (sign_up, sign_in, sign_out, leave):
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__)
        config.add_route("edit", "/{page}/edit", factory=Page)
        config.add_view(edit_page, route_name="edit", permission="edit")
        config.add_route("view", "/{page}", factory=Page)
        config.add_view(view_page, route_name="view", permission="view")
        self.app = config.make_wsgi_app()
        self.browsers = {"ada": TestApp(self.app), "bob": TestApp(self.app)}
        self.tokens = {"ada": "none", "bob": "none"}

    def visit(self, who: str, path: str, form: dict[str, str] | None) -> dict[str, Any]:
        """What the visitor gets; a form carries the token of their last page."""
        browser = self.browsers[who]
        if form is None:
            response = browser.get(path, expect_errors=True)
        else:
            response = browser.post(path, {"csrf_token": self.tokens[who], **form}, expect_errors=True)
        before, found = self.tokens[who], TOKEN.search(response.text)
        self.tokens[who] = found[0] if found else before
        return {
            "status": response.status_int,
            "location": response.headers.get("Location"),
            "page": TOKEN.sub("the same" if self.tokens[who] == before else "another", response.text),
            "cookie": "Set-Cookie" in response.headers,
        }


ADA, BOB = {"name": "ada", "password": "x"}, {"name": "bob", "password": "z"}

#: Who visits, where, what is sent by a form; and what the page holds, or where it leads.
STORY: list[tuple[str, str, dict[str, str] | None, str]] = [
    ("ada", "/Front", None, "<nav>None 1</nav><h1>Front</h1>Welcome.<form method=post>"),
    ("ada", "/Front", None, "<nav>None 2</nav>"),
    ("ada", "/Nowhere", None, "404"),
    ("ada", "/Front/edit", None, "/sign_in?next=%2FFront%2Fedit"),
    ("ada", "/sign_up", ADA, "/sign_in"),
    ("ada", "/sign_in", None, "<nav>None 3</nav><p class=info>ada, you may sign in.</p>sign in"),
    ("ada", "/sign_up", ADA, "/sign_in"),
    ("ada", "/sign_in", None, "<nav>None 4</nav><p class=error>ada is taken.</p>sign in"),
    ("ada", "/sign_in", None, "<nav>None 5</nav>sign in"),
    ("ada", "/sign_in", {**ADA, "csrf_token": "forged"}, "400"),
    ("ada", "/sign_in", BOB, "<nav>None 6</nav><p class=error>Not that name"),
    ("ada", "/sign_in?next=/Front/edit", ADA, "/Front/edit"),
    ("ada", "/Front/edit", {"text": "the token is old"}, "400"),
    ("ada", "/Front/edit", None, "<nav>ada 7</nav><p class=info>Hello, ada.</p>edit Front"),
    ("ada", "/Front/edit", {"text": "Edited."}, "/Front"),
    ("ada", "/Front/edit", {"text": "Edited again."}, "/Front"),
    ("ada", "/Front", None, "<nav>ada 8</nav><p class=info>Front is saved.</p><h1>Front</h1>Edited again."),
    ("ada", "/New/edit", {"text": "More."}, "/New"),
    ("bob", "/New", None, "<nav>None 1</nav><h1>New</h1>More."),
    ("bob", "/sign_up", BOB, "/sign_in"),
    ("bob", "/sign_in", BOB, "/Front"),
    ("bob", "/New/edit", None, "not yours"),
    (
        "bob",
        "/Front",
        None,
        "<nav>bob 2</nav><p class=info>bob, you may sign in.</p><p class=info>Hello, bob.",
    ),
    ("ada", "/Front", None, "<nav>ada 9</nav><p class=info>New is saved.</p>"),
    ("ada", "/sign_out", {}, "/Front"),
    ("ada", "/Front", None, "<nav>None 10</nav><h1>Front</h1>"),
    ("ada", "/New/edit", None, "/sign_in?next=%2FNew%2Fedit"),
    ("bob", "/leave", {}, "/Front"),
    ("bob", "/Front", None, "<nav>None 1</nav><h1>Front</h1>"),
]


@pytest.fixture(params=["signed", "encrypted", "memory", "file"])
def both(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[tuple[Site, Site]]:
    """The wiki over Pyramid's own sessions, and over ours."""
    stores: dict[str, Callable[[], Any]] = {
        "signed": lambda: CookieStore(KEY, options=PLAIN),
        "encrypted": lambda: CookieStore(KEY, encrypt=True, options=PLAIN),
        "memory": lambda: MemoryStore(KEY, options=PLAIN),
        "file": lambda: FileStore(str(tmp_path), KEY, options=PLAIN),
    }
    theirs = Site(SignedCookieSessionFactory(KEY, reissue_time=None))
    sites = theirs, Site(session_factory(stores[request.param]()))
    yield sites
    for site in sites:
        site.database.close()


def test_the_wiki_of_the_tutorial_is_the_same_over_ours(both: tuple[Site, Site]) -> None:
    theirs, ours = both
    for who, path, form, holds in STORY:
        expected = theirs.visit(who, path, form)
        told = f"{expected['status']} {expected['location']}\n{expected['page']}"
        assert holds in told, "the story itself"
        found = ours.visit(who, path, form)
        if found["cookie"] is False:  # ours send none where nothing changed
            expected["cookie"] = False
        assert found == expected, path
