"""Bottle, Falcon and CherryPy have no adapter: one site in each, behind the middleware, tells one story."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bottle
import cherrypy
import falcon
import pytest

from sessions_wsgi import CookieStore, FileStore, MemoryStore, Session, SessionMiddleware, get_session
from sessions_wsgi.testing import Client

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"


class Members:
    """What the site does, whatever framework it is in: every step answers with a message, or with a page."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}

    def page(self, session: Session) -> str:
        seen = session["seen"] = session.get("seen", 0) + 1
        told = "".join(f"<p>{message}" for message in session.flashes())
        return f"<b>{session.principal or 'nobody'}</b> {seen}{told}"

    def sign_up(self, session: Session, name: str, password: str) -> None:
        if name in self.passwords:
            session.flash(f"{name} is taken.")
        else:
            self.passwords[name] = password
            session.flash(f"{name} may sign in.")

    def sign_in(self, session: Session, name: str, password: str) -> None:
        if self.passwords.get(name) != password:
            session.flash("Not that name, or not that password.")
        else:
            session.login(name)
            session.flash(f"Hello, {name}.")

    def sign_out(self, session: Session) -> None:
        session.destroy()
        session.flash("Bye.")


def in_bottle(members: Members) -> Any:
    app = bottle.Bottle()

    @app.get("/")  # type: ignore[untyped-decorator]
    def page() -> str:
        return members.page(get_session(bottle.request))

    @app.post("/<step>")  # type: ignore[untyped-decorator]
    def do(step: str) -> None:
        getattr(members, step)(get_session(bottle.request), **bottle.request.forms)
        bottle.redirect("/")

    @app.get("/members")  # type: ignore[untyped-decorator]
    def only() -> str:
        if get_session(bottle.request).principal is None:
            bottle.abort(401)
        return "members only"

    return app


def in_falcon(members: Members) -> Any:
    class Page:
        def on_get(self, request: Any, response: Any) -> None:
            response.content_type, response.text = falcon.MEDIA_HTML, members.page(get_session(request))

    class Do:
        def on_post(self, request: Any, response: Any, step: str) -> None:
            getattr(members, step)(get_session(request), **(request.get_media(default_when_empty={}) or {}))
            raise falcon.HTTPSeeOther("/")

    class Only:
        def on_get(self, request: Any, response: Any) -> None:
            if get_session(request).principal is None:
                raise falcon.HTTPUnauthorized
            response.text = "members only"

    app = falcon.App()
    app.add_route("/", Page())
    app.add_route("/members", Only())
    app.add_route("/{step}", Do())
    return app


def in_cherrypy(members: Members) -> Any:
    def session() -> Session:
        return get_session(cherrypy.request.wsgi_environ)

    class Site:
        @cherrypy.expose  # type: ignore[untyped-decorator]
        def index(self) -> str:
            return members.page(session())

        @cherrypy.expose  # type: ignore[untyped-decorator]
        def default(self, step: str, **form: str) -> None:
            getattr(members, step)(session(), **form)
            raise cherrypy.HTTPRedirect("/")

        @cherrypy.expose  # type: ignore[untyped-decorator]
        def members(self) -> str:
            if session().principal is None:
                raise cherrypy.HTTPError(401)
            return "members only"

    return cherrypy.Application(Site(), "", {"/": {}})


ADA = {"name": "ada", "password": "x"}

#: The step that a form takes, and the page to which it leads.
STORY: list[tuple[str, dict[str, str], str]] = [
    ("sign_up", ADA, "<b>nobody</b> 2<p>ada may sign in."),
    ("sign_up", ADA, "<b>nobody</b> 3<p>ada is taken."),
    ("sign_in", {**ADA, "password": "y"}, "<b>nobody</b> 4<p>Not that name, or not that password."),
    ("sign_in", ADA, "<b>ada</b> 5<p>Hello, ada."),
    ("sign_out", {}, "<b>nobody</b> 1<p>Bye."),
]


@pytest.fixture(params=["cookie", "memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "cookie": lambda: CookieStore(KEY, encrypt=True),
        "memory": lambda: MemoryStore(KEY),
        "file": lambda: FileStore(str(tmp_path), KEY),
    }
    return makers[request.param]()


@pytest.mark.parametrize("framework", [in_bottle, in_falcon, in_cherrypy])
def test_a_visitor_signs_up_in_and_out(framework: Callable[[Members], Any], store: Any) -> None:
    client = Client(SessionMiddleware(framework(Members()), store))
    assert client.get("/members").status_int == 401
    assert client.cookies == {}
    assert client.get("/").text == "<b>nobody</b> 1"
    for step, form, page in STORY:
        answer = client.post(f"/{step}", form=form)
        assert answer.status_int in (302, 303)
        renewed = page.endswith(("Hello, ada.", "Bye."))
        sends = renewed or isinstance(store, CookieStore)  # on a server the id stays, unless it must not
        assert len(answer.headers.getall("Set-Cookie")) == sends
        assert client.get("/").text == page
        assert (client.get("/members").text == "members only") == ("<b>ada" in page)
    assert client.get("/").text == "<b>nobody</b> 2", "a message is shown once"


@pytest.mark.parametrize("framework", [in_bottle, in_falcon, in_cherrypy])
def test_a_copied_cookie_is_worth_nothing_after_the_sign_out(framework: Callable[[Members], Any]) -> None:
    client = Client(SessionMiddleware(framework(Members()), MemoryStore(KEY)))
    client.post("/sign_up", form=ADA)
    client.post("/sign_in", form=ADA)
    copy = client.cookies["session"]
    assert client.get("/members").text == "members only"
    client.post("/sign_out", form={})
    client.set_cookie("session", copy)
    assert client.get("/members").status_int == 401
