"""Our sessions in Pyramid: the same site on Pyramid's own and on ours, and what only ours can."""

from __future__ import annotations

import copy
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("pyramid")

from own_classes import Lazy, Size
from pyramid.authentication import SessionAuthenticationHelper
from pyramid.config import Configurator
from pyramid.csrf import SessionCSRFStoragePolicy, check_csrf_token, get_csrf_token, new_csrf_token
from pyramid.httpexceptions import HTTPForbidden, HTTPFound, HTTPSeeOther
from pyramid.interfaces import ISession, ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from pyramid.testing import DummyRequest
from webtest import TestApp
from zope.interface.verify import verifyObject

from sessions_wsgi import (
    BackendError,
    CBORSerializer,
    ConfigError,
    CookieOptions,
    CookieStore,
    FileStore,
    MemoryStore,
    SerializeError,
    ServerStore,
    SessionMiddleware,
    SessionSealedError,
    get_session,
)
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.ext.pyramid import session_factory
from sessions_wsgi.importers import PyramidImporter

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
PLAIN = CookieOptions(secure=False)

FACTORIES: dict[str, Callable[[], Any]] = {
    "Pyramid's own": lambda: SignedCookieSessionFactory(KEY),
    "signed": lambda: session_factory(CookieStore(KEY, options=PLAIN)),
    "encrypted": lambda: session_factory(CookieStore(KEY, encrypt=True, options=PLAIN)),
    "memory": lambda: session_factory(MemoryStore(KEY, options=PLAIN)),
}
each = pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
ours = pytest.mark.parametrize("factory", list(FACTORIES.values())[1:], ids=list(FACTORIES)[1:])


def serve(
    factory: Any, configure: Callable[[Configurator], object] = lambda _: None, **views: Any
) -> TestApp:
    """A browser on a site of these views, each under its name."""
    config = Configurator(session_factory=factory)
    for name, view in views.items():
        config.add_route(name, f"/{name}")
        config.add_view(view, route_name=name)
    configure(config)
    return TestApp(config.make_wsgi_app())


def ok(text: object = "ok") -> Response:
    return Response(str(text), content_type="text/plain")


def asked(factory: Any, view: Callable[[Any], Any], **more: Any) -> Any:
    """What a view answers to its only request."""
    return serve(factory, view=lambda request: ok(view(request)), **more).get("/view")


# A site as people learn it: sign-up, sign-in, a wiki page to edit, sign-out


def wiki(factory: Any) -> TestApp:
    accounts: dict[str, str] = {}
    pages = {"front": "welcome"}

    def layout(request: Any, body: str = "") -> Response:
        told = "".join(f"<p class={queue or 'note'}>{text}</p>" for queue in ("", "error")
                       for text in request.session.pop_flash(queue))  # fmt: skip
        who = request.session.get("user", "nobody")
        form = f'<form method="post"><input name="csrf_token" value="{get_csrf_token(request)}"></form>'
        return Response(f"<i>{who}</i>{told}{body}{form}")

    def front(request: Any) -> Response:
        request.session["seen"] = request.session.get("seen", 0) + 1
        return layout(request, f"<b>{pages['front']}</b> seen {request.session['seen']}")

    def sign_up(request: Any) -> Any:
        if request.method == "GET":
            return layout(request)
        name = request.POST["name"]
        if name in accounts:
            request.session.flash("that name is taken", "error")
            raise HTTPSeeOther("/sign_up")
        accounts[name] = request.POST["password"]
        request.session.flash(f"an account for {name}")
        return HTTPSeeOther("/sign_in")

    def sign_in(request: Any) -> Any:
        if request.method == "GET":
            return layout(request)
        name = request.POST["name"]
        if accounts.get(name) != request.POST["password"]:
            request.session.flash("no such account, or another password", "error")
            return layout(request)
        request.session.invalidate()
        request.session["user"] = name
        request.session.flash(f"welcome, {name}")
        new_csrf_token(request)
        return HTTPSeeOther("/front")

    def edit(request: Any) -> Any:
        if "user" not in request.session:
            raise HTTPForbidden
        pages["front"] = request.POST["text"]
        request.session.setdefault("edits", []).append("front")
        request.session.changed()
        request.session.flash("saved", allow_duplicate=False)
        request.session.flash("saved", allow_duplicate=False)
        return HTTPSeeOther("/front")

    def edits(request: Any) -> Response:
        return ok(request.session.get("edits"))

    def sign_out(request: Any) -> Any:
        request.session.invalidate()
        request.session.flash("bye")
        return HTTPSeeOther("/front")

    def configure(config: Configurator) -> None:
        config.set_default_csrf_options(require_csrf=True)
        config.add_forbidden_view(lambda request: HTTPFound("/sign_in"))

    views = (front, sign_up, sign_in, edit, edits, sign_out)
    return serve(factory, configure, **{view.__name__: view for view in views})


def fill(site: TestApp, path: str, **fields: str) -> Any:
    """The page to which the form of this path leads."""
    token = site.get("/sign_in").form["csrf_token"].value
    return site.post(path, {**fields, "csrf_token": token}).maybe_follow()


@each
def test_the_whole_of_a_site(factory: Any) -> None:
    site = wiki(factory())
    assert "<i>nobody</i><b>welcome</b> seen 1" in site.get("/front")
    assert "seen 2" in site.get("/front")

    ada = {"name": "ada", "password": "secret"}
    assert "<p class=note>an account for ada</p>" in fill(site, "/sign_up", **ada)
    assert "<p class=error>that name is taken</p>" in fill(site, "/sign_up", **ada)
    assert "taken" not in site.get("/sign_up"), "a flash is shown once"

    assert "another password" in fill(site, "/sign_in", name="ada", password="guess")
    assert "<i>nobody</i>" in fill(site, "/edit", text="x"), "led to the sign-in"
    assert "<i>ada</i><p class=note>welcome, ada</p><b>welcome</b> seen 1" in fill(site, "/sign_in", **ada)

    assert fill(site, "/edit", text="new").text.count("<p class=note>saved</p>") == 1
    fill(site, "/edit", text="newer")
    assert site.get("/edits").text == "['front', 'front']"
    assert "<i>nobody</i><p class=note>bye</p><b>newer</b> seen 1" in fill(site, "/sign_out")
    assert "bye" not in site.get("/front")
    assert site.get("/edits").text == "None"


@each
def test_a_form_without_its_token_is_refused(factory: Any) -> None:
    site = wiki(factory())
    site.get("/front")
    site.post("/sign_up", {"name": "ada", "password": "x"}, status=400)
    site.post("/sign_up", {"name": "ada", "password": "x", "csrf_token": "x" * 40}, status=400)
    site.post("/sign_up", {"name": "ada", "password": "x", "csrf_token": "ä\0"}, status=400)


# The interface


@each
def test_it_keeps_to_the_interface(factory: Any) -> None:
    def view(request: Any) -> Any:
        return verifyObject(ISession, request.session)

    assert asked(factory(), view).text == "True"


def test_the_factory_keeps_to_the_interface() -> None:
    assert verifyObject(ISessionFactory, session_factory(CookieStore(KEY)))


@each
def test_a_session_is_new_until_it_came_back(factory: Any) -> None:
    def view(request: Any) -> Response:
        request.session["x"] = 1
        return ok(request.session.new)

    site = serve(factory(), view=view)
    assert [site.get("/view").text for _ in range(3)] == ["True", "False", "False"]


@each
def test_created_is_in_seconds_and_stays(factory: Any) -> None:
    def view(request: Any) -> Response:
        request.session["x"] = 1
        return ok(int(request.session.created))

    site = serve(factory(), view=view)
    first = int(site.get("/view").text)
    assert abs(first - time.time()) < 60
    assert int(site.get("/view").text) == first


def test_created_is_an_integer() -> None:
    assert type(session_factory(CookieStore(KEY))(DummyRequest()).created) is int


def dict_methods(session: Any) -> list[Any]:
    seen: list[Any] = [len(session), bool(session), "a" in session, session.get("a"), session.get("a", 5)]
    session["a"] = 1
    session.update({"b": 2}, c=3)
    session |= {"d": 4}
    seen += [session.setdefault("a", 9), session.setdefault("e", 5), session.pop("b"), session.pop("b", None)]
    seen += [
        list(session),
        list(session.keys()),
        list(session.values()),
        list(session.items()),
        dict(session),
    ]
    seen += [session | {"a": 2, "z": 1}, {"a": 2, "z": 1} | session, list(reversed(session))]
    seen += [copy.copy(session), copy.deepcopy(session)]
    for work in (session.__or__, session.__ror__):
        assert work(1) is NotImplemented
    seen += [session == {"a": 1, "c": 3, "d": 4, "e": 5}, session != {}, session.copy(), session.popitem()]
    for key in ("b", "zzz"):
        for work in (session.__getitem__, session.pop, session.__delitem__):
            with pytest.raises(KeyError):
                work(key)
    del session["a"]
    session.clear()
    with pytest.raises(KeyError):
        session.popitem()
    with pytest.raises(TypeError):
        hash(session)
    return [*seen, len(session), bool(session)]


@ours
def test_it_is_used_like_a_dict(factory: Any) -> None:
    """Each call answers as Pyramid's own, which is a dict."""
    assert dict_methods(factory()(DummyRequest())) == dict_methods({})


def test_who_signs_in_by_pyramids_helper_can_be_revoked() -> None:
    """As the page tells: `login` before its `remember`, `invalidate` in place of its `forget`."""
    helper, store = SessionAuthenticationHelper(), MemoryStore(KEY, options=CookieOptions(secure=False))

    def sign_in(request: Any) -> Response:
        request.session.login(request.params["name"])
        helper.remember(request, request.params["name"])
        return Response(text="in")

    def sign_out(request: Any) -> Response:
        request.session.invalidate()
        return Response(text="out")

    def who(request: Any) -> Response:
        return Response(text=str(helper.authenticated_userid(request)))

    site = serve(session_factory(store), into=sign_in, out=sign_out, who=who)
    for name in ("ada", "grace"):
        site.get(f"/into?name={name}")
        assert site.get("/who").text == name
        assert (len(store.sessions_of("ada")), len(store.sessions_of("grace"))) == (
            name == "ada",
            name == "grace",
        )
    store.revoke("grace")
    assert site.get("/who").text == "None"
    site.get("/into?name=ada")
    site.get("/out")
    assert (site.get("/who").text, store.sessions_of("ada")) == ("None", [])


FLASHES: dict[str, Callable[[Any], Any]] = {
    "none": lambda session: (session.peek_flash(), session.pop_flash(), session.pop_flash("x")),
    "in order": lambda session: ([session.flash(n) for n in (1, 2, 1)], session.pop_flash()),
    "queues": lambda session: (
        session.flash("a"),
        session.flash("b", "x"),
        session.flash("c", queue="x"),
        session.pop_flash("x"),
        session.pop_flash("x"),
        session.pop_flash(),
    ),
    "no duplicates": lambda session: (
        session.flash("a"),
        session.flash("a", allow_duplicate=False),
        session.flash("a", "x", False),
        session.flash("a", "x", False),
        session.flash({"t": 1}, "y"),
        session.flash({"t": 1}, "y", allow_duplicate=False),
        session.pop_flash(),
        session.pop_flash("x"),
        session.pop_flash("y"),
    ),
    "peeking": lambda session: (
        session.flash("a"),
        session.peek_flash(),
        session.peek_flash(),
        session.pop_flash(),
    ),
    "cleared": lambda session: (session.flash("a"), session.clear(), session.pop_flash()),
    "invalidated": lambda session: (session.flash("a"), session.invalidate(), session.pop_flash()),
    "after invalidate": lambda session: (session.invalidate(), session.flash("a"), session.pop_flash()),
}  # fmt: skip


@pytest.mark.parametrize("work", FLASHES.values(), ids=FLASHES)
@ours
def test_flashes_are_as_in_pyramids_own(factory: Any, work: Callable[[Any], Any]) -> None:
    own = SignedCookieSessionFactory(KEY)(DummyRequest())
    assert work(factory()(DummyRequest())) == work(own)


@each
def test_csrf_tokens(factory: Any) -> None:
    """The same ASCII text until it is renewed, in this request and in the next ones."""

    def view(request: Any) -> Response:
        if "renew" in request.GET:
            request.session.new_csrf_token()
        token = request.session.get_csrf_token()
        assert token == request.session.get_csrf_token() == request.session["_csrft_"]
        assert token.isascii()
        assert type(token) is str
        return ok(token)

    site = serve(factory(), view=view)
    first = site.get("/view").text
    assert site.get("/view").text == first
    second = site.get("/view?renew").text
    assert second != first
    assert site.get("/view").text == second


@pytest.mark.parametrize("policy", [None, SessionCSRFStoragePolicy], ids=["legacy", "session"])
@each
def test_pyramid_checks_the_tokens(factory: Any, policy: Any) -> None:
    def view(request: Any) -> Response:
        if request.method == "GET":
            return ok(get_csrf_token(request))
        return ok(check_csrf_token(request, raises=False))

    site = serve(factory(), lambda config: policy and config.set_csrf_storage_policy(policy()), view=view)
    token = site.get("/view").text
    assert site.post("/view", {"csrf_token": token}).text == "True"
    assert site.post("/view", headers={"X-CSRF-Token": token}).text == "True"
    assert site.post("/view", {"csrf_token": token[:-1]}).text == "False"
    assert site.post("/view", {"csrf_token": "\N{LATIN SMALL LETTER A WITH DIAERESIS}"}).text == "False"


@ours
def test_a_token_is_renewed_with_the_privileges(factory: Any) -> None:
    session = factory()(DummyRequest())
    tokens = [session.get_csrf_token()]
    for change in (session.regenerate, lambda: session.login("ada"), session.invalidate, session.clear):
        change()
        tokens.append(session.get_csrf_token())
    assert len(set(tokens)) == 5


OF_THEIR_OWN_CLASS: list[tuple[Any, Any]] = [
    (Lazy("hello"), "hello"),
    ([Lazy("hello"), {"text": Lazy("hello")}], ["hello", {"text": "hello"}]),
    ({Lazy("key"): Size.BIG}, {"key": 3}),
    (OrderedDict(a=[Size.BIG]), {"a": [3]}),
    (type("Share", (float,), {})(0.5), 0.5),
    (type("Items", (list,), {})("ab"), ["a", "b"]),
]


@pytest.mark.parametrize(("value", "plain"), OF_THEIR_OWN_CLASS, ids=repr)
@each
def test_what_has_a_class_of_its_own_is_kept_as_what_it_is(factory: Any, value: Any, plain: Any) -> None:
    def view(request: Any) -> Response:
        request.session["x"] = value
        request.session.flash(value)
        assert request.session["x"] is value
        return ok()

    def read(request: Any) -> Response:
        return ok([request.session["x"], *request.session.pop_flash()])

    site = serve(factory(), view=view, read=read)
    site.get("/view")
    assert site.get("/read").text == repr([plain, plain])


def test_behind_the_middleware_as_well() -> None:
    def view(request: Any) -> Response:
        request.session["x"] = [Lazy("hello")]
        return ok()

    site = behind(MemoryStore(KEY, options=PLAIN), view=view, read=reads)
    site.get("/view")
    assert site.get("/read").text == "['hello']"


def test_a_class_that_is_registered_is_kept() -> None:
    serializer = CBORSerializer(types={"size/1": Size})

    def view(request: Any) -> Response:
        request.session["x"] = [Size.BIG, Lazy("hello")]
        return ok()

    store = CookieStore(KEY, options=PLAIN, serializer=serializer)
    site = serve(session_factory(store), view=view, read=reads)
    site.get("/view")
    assert site.get("/read").text == repr([Size.BIG, "hello"])


def test_what_cannot_be_kept_is_told_by_its_place() -> None:
    with pytest.raises(SerializeError, match=r"session\['x'\]\[0\]"):
        asked(FACTORIES["signed"](), lambda request: request.session.update(x=[object()]))


@ours
def test_who_holds_a_list_goes_on_writing_into_it(factory: Any) -> None:
    """What is plain stays the very same object, after the save as well."""
    held: list[Any] = []

    def view(request: Any) -> Response:
        request.session["x"] = held
        request.add_finished_callback(lambda request: held.append(request.session["x"] is held))
        return ok()

    serve(factory(), view=view).get("/view")
    assert held == [True]


# The moments of saving


def fails(request: Any) -> Response:
    request.session["x"] = 1
    raise LookupError("on purpose")


def redirects(request: Any) -> Response:
    request.session["x"] = 1
    raise HTTPFound("/read")


def reads(request: Any) -> Response:
    return ok(request.session.get("x"))


def with_error_page(config: Configurator) -> None:
    def page(error: Any, request: Any) -> Response:
        request.session["seen by"] = "page"
        return Response("oops", status=500)

    config.add_exception_view(page, context=LookupError)


@each
def test_a_redirect_that_is_raised_saves(factory: Any) -> None:
    assert serve(factory(), fails=redirects, read=reads).get("/fails").follow().text == "1"


@each
def test_an_exception_view_saves(factory: Any) -> None:
    site = serve(factory(), with_error_page, fails=fails, read=reads)
    site.get("/fails", status=500)
    assert site.get("/read").text == "1"


@each
def test_an_exception_that_nobody_caught_saves_nothing(factory: Any) -> None:
    site = serve(factory(), fails=fails, read=reads)
    with pytest.raises(LookupError):
        site.get("/fails")
    assert site.get("/read").text == "None"


@pytest.mark.parametrize(
    "factory",
    [
        SignedCookieSessionFactory(KEY, set_on_exception=False),
        session_factory(MemoryStore(KEY, options=PLAIN), set_on_exception=False),
    ],
    ids=["Pyramid's own", "ours"],
)
@pytest.mark.parametrize("view", [fails, redirects])
def test_exceptions_can_be_told_not_to_save(factory: Any, view: Any) -> None:
    site = serve(factory, with_error_page, fails=view, read=reads)
    site.get("/fails", expect_errors=True)
    assert site.get("/read").text == "None"


@ours
def test_what_later_callbacks_write_is_saved(factory: Any) -> None:
    """Whoever added theirs first."""

    def view(request: Any) -> Response:
        request.add_response_callback(write("before"))
        _ = request.session
        request.add_response_callback(write("after"))
        return ok()

    def write(key: str) -> Any:
        def callback(request: Any, response: Any) -> None:
            request.session[key] = True

        return callback

    site = serve(factory(), view=view, read=lambda request: ok(sorted(request.session)))
    site.get("/view")
    assert site.get("/read").text == "['after', 'before']"


@ours
def test_a_write_that_would_be_lost_raises(factory: Any) -> None:
    """Pyramid's own sessions lose it without a word."""

    def view(request: Any) -> Response:
        session = request.session
        session["x"] = 1

        def body() -> Any:
            assert session["x"] == 1
            with pytest.raises(SessionSealedError):
                session["x"] = 2
            yield b"streamed"

        return Response(app_iter=body())

    site = serve(factory(), view=view, read=reads)
    assert site.get("/view").body == b"streamed"
    assert site.get("/read").text == "1"


@ours
def test_a_change_inside_a_value_is_saved(factory: Any) -> None:
    def view(request: Any) -> Response:
        request.session.setdefault("list", []).append(len(request.session["list"]))
        return ok(request.session["list"])

    site = serve(factory(), view=view)
    assert [site.get("/view").text for _ in range(3)] == ["[0]", "[0, 1]", "[0, 1, 2]"]


@ours
def test_an_untouched_session_adds_no_header(factory: Any) -> None:
    reply = serve(factory(), view=lambda request: ok()).get("/view")
    assert {"Set-Cookie", "Vary", "Cache-Control"}.isdisjoint(reply.headers)


@ours
def test_a_read_session_adds_vary_only(factory: Any) -> None:
    reply = serve(factory(), read=reads).get("/read")
    assert reply.headers["Vary"] == "Cookie"
    assert {"Set-Cookie", "Cache-Control"}.isdisjoint(reply.headers)


@ours
def test_a_cookie_comes_with_vary_and_no_store(factory: Any) -> None:
    reply = serve(factory(), view=redirects).get("/view")
    assert reply.headers.getall("Vary") == ["Cookie"]
    assert reply.headers.getall("Cache-Control") == ["no-store"]
    assert len(reply.headers.getall("Set-Cookie")) == 1


def test_cache_control_can_be_left_alone() -> None:
    reply = serve(session_factory(CookieStore(KEY), cache_control=None), view=redirects).get("/view")
    assert "Cache-Control" not in reply.headers


@pytest.mark.parametrize("retried", ["raised", "answered"])
def test_an_attempt_that_is_retried_leaves_nothing(retried: str) -> None:
    """As by a policy that runs a request anew in the same environ when a transaction failed."""
    tries: list[int] = []

    def policy(environ: Any, router: Any) -> Any:
        for _ in range(3):
            with router.request_context(environ) as request:
                try:
                    response = router.invoke_request(request)
                except LookupError:
                    continue
                if getattr(request, "exception", None) is None:
                    return response
        raise AssertionError

    def view(request: Any) -> Response:
        request.session["n"] = request.session.get("n", 0) + 1
        request.session.flash("once")
        tries.append(1)
        if len(tries) < 3:
            raise LookupError
        return ok([request.session["n"], request.session.peek_flash()])

    def configure(config: Configurator) -> None:
        config.set_execution_policy(policy)
        if retried == "answered":
            config.add_exception_view(lambda request: ok(), context=LookupError)

    factory = session_factory(CookieStore(KEY, options=PLAIN))
    assert serve(factory, configure, view=view).get("/view").text == "[1, ['once']]"


@ours
def test_a_subrequest_made_from_the_request_shares_its_session(factory: Any) -> None:
    def view(request: Any) -> Response:
        request.session["outer"] = 1
        inner = request.copy()
        inner.path_info = "/inner"
        request.invoke_subrequest(inner)
        return ok(sorted(request.session))

    def inner(request: Any) -> Response:
        request.session["inner"] = 1
        return ok()

    site = serve(factory(), view=view, inner=inner, read=lambda request: ok(sorted(request.session)))
    assert site.get("/view").text == "['inner', 'outer']"
    assert site.get("/read").text == "['inner', 'outer']"


# Ours, too


def test_everything_of_our_own_can_be_reached() -> None:
    store = MemoryStore(KEY, options=PLAIN)

    def sign_in(request: Any) -> Response:
        request.session["cart"] = ["apple"]
        request.session.login("ada")
        request.session.max_age = 3600
        request.session.label = "a test"
        return ok()

    def whoami(request: Any) -> Response:
        session = request.session
        assert session.check_csrf(session.csrf_token())
        assert session.authenticated_at == session.last_seen.replace(
            microsecond=session.authenticated_at.microsecond
        )
        return ok([session.principal, session.max_age, session["cart"], session.name, session.rejected])

    site = serve(session_factory(store), sign_in=sign_in, whoami=whoami)
    assert "Max-Age=3600" in site.get("/sign_in").headers["Set-Cookie"]
    assert site.get("/whoami").text == "['ada', 3600, ['apple'], 'session', None]"
    assert [info.label for info in store.sessions_of("ada")] == ["a test"]
    store.revoke("ada")
    assert not store.sessions_of("ada")


def test_a_misspelled_attribute_is_told() -> None:
    session = session_factory(CookieStore(KEY))(DummyRequest())
    for work in (lambda: session.max_agee, lambda: setattr(session, "max_agee", 5), lambda: session._nothing):
        with pytest.raises(AttributeError):
            work()


def test_invalidate_ends_it_on_both_sides() -> None:
    store = MemoryStore(KEY, options=PLAIN)

    def out(request: Any) -> Response:
        request.session.invalidate()
        return ok()

    site = serve(session_factory(store), view=redirects, read=reads, out=out)
    site.get("/view")
    before = dict(site.cookies)
    assert "Max-Age=0" in site.get("/out").headers["Set-Cookie"]
    site.set_cookie("session", before["session"])
    assert site.get("/read").text == "None"


def test_what_was_invalidated_ends_even_if_the_view_raises() -> None:
    def out(request: Any) -> Response:
        request.session.invalidate()
        raise LookupError

    site = serve(session_factory(MemoryStore(KEY, options=PLAIN)), view=redirects, read=reads, out=out)
    site.get("/view")
    with pytest.raises(LookupError):
        site.get("/out")
    assert site.get("/read").text == "None"


def test_get_session_gives_the_same_session() -> None:
    def view(request: Any) -> bool:
        request.session["x"] = 1
        return get_session(request) == {"x": 1}

    assert asked(session_factory(CookieStore(KEY)), view).text == "True"


def test_events_are_told() -> None:
    events: list[Any] = []
    serve(session_factory(CookieStore(KEY), on_event=events.append), view=redirects).get("/view")
    assert [event.kind for event in events] == ["created", "saved"]


def test_nothing_is_parsed_before_the_session_is_asked_for() -> None:
    class Store(CookieStore):
        def open(self, *args: Any) -> Any:
            raise AssertionError

    site = serve(session_factory(Store(KEY)), view=lambda request: ok())
    assert site.get("/view", headers={"Cookie": "session=x"}).text == "ok"


class Down(MemoryBackend):
    def load(self, key: str) -> Any:
        raise BackendError("down", "load")

    def create(self, key: str, data: bytes, expires: float) -> Any:
        raise BackendError("down", "create")


def test_a_failing_backend_may_have_an_exception_view() -> None:
    store = MemoryStore(KEY, options=PLAIN)
    site = serve(session_factory(store), view=redirects)
    site.get("/view")
    cookie = site.cookies["session"]
    down = serve(
        session_factory(ServerStore(Down(), KEY, options=PLAIN)),
        lambda config: config.add_exception_view(lambda _: Response(status=503), context=BackendError),
        read=reads,
    )
    down.set_cookie("session", cookie)
    down.get("/read", status=503)


def test_a_cookie_that_grew_too_large_reaches_the_server() -> None:
    def view(request: Any) -> Response:
        request.session["x"] = "x" * 5000
        return ok()

    for name in ("Pyramid's own", "signed"):
        with pytest.raises(ValueError, match=r"too long|more than the 4096"):
            serve(FACTORIES[name](), view=view).get("/view")


def test_several_sessions_have_factories_of_their_own(tmp_path: Any) -> None:
    cart = session_factory(FileStore(str(tmp_path), KEY, options=PLAIN), "cart")

    def view(request: Any) -> Response:
        request.session["n"] = request.session.get("n", 0) + 1
        request.cart["n"] = request.cart.get("n", 10) + 1
        return ok([request.session["n"], request.cart["n"]])

    def configure(config: Configurator) -> None:
        config.add_request_method(cart, "cart", reify=True)

    site = serve(session_factory(CookieStore(KEY, options=PLAIN)), configure, view=view)
    assert [site.get("/view").text for _ in range(2)] == ["[1, 11]", "[2, 12]"]
    assert set(site.cookies) == {"session", "cart"}


def test_who_comes_from_pyramids_own_session_keeps_it() -> None:
    """The values, an unread flash, and the token of a form that is open."""

    def leave(request: Any) -> Response:
        request.session["user"] = "ada"
        request.session.flash("unread", "x")
        return ok(request.session.get_csrf_token())

    def come(request: Any) -> Response:
        session = request.session
        session.flash("new", "x")
        return ok([session["user"], session.peek_flash("x"), session.pop_flash("x"), session.pop_flash("x")])

    old = serve(SignedCookieSessionFactory(KEY), leave=leave)
    token = old.get("/leave").text
    importer = PyramidImporter(KEY, until=datetime(2100, 1, 1, tzinfo=UTC))
    site = serve(
        session_factory(CookieStore(KEY, options=PLAIN, accept=[importer])),
        come=come,
        token=lambda request: ok(request.session.get_csrf_token()),
    )
    site.set_cookie("session", old.cookies["session"])
    assert site.get("/token").text == token
    assert site.get("/come").text == "['ada', ['unread', 'new'], ['unread', 'new'], []]"


# Behind the middleware


def behind(store: Any, **views: Any) -> TestApp:
    site = serve(session_factory(store), **views)
    return TestApp(SessionMiddleware(site.app, store))


@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_behind_the_middleware_there_is_one_session(make: Any) -> None:
    def view(request: Any) -> Response:
        request.session["x"] = get_session(request)["y"] = 1
        assert dict(request.session) == get_session(request)
        return ok()

    site = behind(make(KEY, options=PLAIN), view=view, read=reads)
    assert len(site.get("/view").headers.getall("Set-Cookie")) == 1
    assert site.get("/read").text == "1"


def test_behind_the_middleware_a_stream_may_write() -> None:
    def view(request: Any) -> Response:
        session = request.session

        def body() -> Any:
            yield b"streamed"
            session["x"] = 2

        session["x"] = 1
        return Response(app_iter=body())

    site = behind(MemoryStore(KEY, options=PLAIN), view=view, read=reads)
    site.get("/view")
    assert site.get("/read").text == "2"


# Configuration


def included(**settings: Any) -> Any:
    """The factory that settings make; double underscores stand for dots."""
    given = {f"sessions.{name.replace('__', '.')}": value for name, value in settings.items()}
    config = Configurator(settings={"sessions.url": "memory:", "sessions.keys": KEY, "other": "x", **given})
    config.include("sessions_wsgi.ext.pyramid")
    config.commit()
    return config.registry.getUtility(ISessionFactory)


def test_settings_make_a_factory() -> None:
    site = serve(
        included(cookie__secure="false", cookie__max_age="1h", name="visit"), view=redirects, read=reads
    )
    assert site.get("/view").headers["Set-Cookie"].startswith("visit=")
    assert site.get("/read").text == "1"


def test_an_ini_file_needs_no_code() -> None:
    settings = {
        "pyramid.includes": "sessions_wsgi.ext.pyramid",
        "sessions.url": "cookie:",
        "sessions.keys": KEY,
    }
    config = Configurator(settings=settings)
    config.add_route("view", "/view")
    config.add_view(redirects, route_name="view")
    assert TestApp(config.make_wsgi_app()).get("/view").headers["Set-Cookie"].startswith("session=")


def test_settings_in_python_need_not_be_texts() -> None:
    site = serve(included(cookie__secure=False, lifetime__idle=900, set_on_exception=False), view=redirects)
    assert "Set-Cookie" not in site.get("/view").headers


def test_the_factory_has_settings_of_its_own() -> None:
    site = serve(included(cache_control="private, no-cache", set_on_exception="true"), view=redirects)
    assert site.get("/view").headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("urls", "sessions.url"),
        ("set_on_exceptions", "sessions.set_on_exception"),
        ("cookie__samesit", "sessions.cookie.samesite"),
        ("save_on_error", "sessions.set_on_exception"),
        ("cache_controll", "sessions.cache_control"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=right) as caught:
        included(**{wrong: "x"})
    assert caught.value.option == f"sessions.{wrong.replace('__', '.')}"


@pytest.mark.parametrize("option", ["encrypt", "set_on_exception", "lifetime__idle", "on_event", "keys"])
def test_a_wrong_value_is_refused_by_name(option: str) -> None:
    with pytest.raises(ConfigError) as caught:
        included(**{option: "maybe"})
    assert caught.value.option == f"sessions.{option.replace('__', '.')}"


def test_settings_without_a_url_are_refused() -> None:
    config = Configurator(settings={"sessions.keys": KEY})
    with pytest.raises(ConfigError, match=r"'sessions\.url' must be set"):
        config.include("sessions_wsgi.ext.pyramid")


@pytest.mark.parametrize("store", ["memory:", None, CookieStore, {}])
def test_what_is_no_store_is_refused(store: Any) -> None:
    with pytest.raises(ConfigError, match="'store' must be a store"):
        session_factory(store)


def test_a_name_that_no_cookie_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="'name'"):
        session_factory(CookieStore(KEY), "a b")


def test_a_plain_webob_request_will_do() -> None:
    """Pyramid's own, made without a router; nobody runs its callbacks, so nothing is saved."""
    request = Request.blank("/?" + urlencode({"a": 1}))
    session = session_factory(CookieStore(KEY))(request)
    session["x"] = 1
    assert session == {"x": 1}
    assert KEY not in repr(session)
