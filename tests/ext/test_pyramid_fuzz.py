"""Random use of `request.session`: an application sees what it would see over Pyramid's own sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

pytest.importorskip("pyramid")

from hypothesis import given, settings
from hypothesis import strategies as st
from own_classes import Lazy, Size
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from webtest import TestApp

from sessions_wsgi import CookieOptions, CookieStore, MemoryStore
from sessions_wsgi.ext.pyramid import session_factory

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
PLAIN = CookieOptions(secure=False)
QUEUES = ("", "error", "x")

OURS: dict[str, Callable[[bool], Any]] = {
    "cookie": lambda saves: session_factory(CookieStore(KEY, options=PLAIN), set_on_exception=saves),
    "memory": lambda saves: session_factory(MemoryStore(KEY, options=PLAIN), set_on_exception=saves),
}


def own(saves: bool) -> Any:
    """Pyramid's own; it sends a cookie for changes only, not for each look at a session."""
    return SignedCookieSessionFactory(KEY, set_on_exception=saves, reissue_time=None)


# What is done with a session: a name below, and its arguments.

keys, queues = st.sampled_from(["a", "b", "cart"]), st.sampled_from(QUEUES)
scalars = st.sampled_from([None, True, 0, 7, 2**70, -1.5, "", "text", "\u2603", Lazy("lazy"), Size.BIG])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2)
)

Step = tuple[Any, ...]
DO: dict[str, Callable[..., Any]] = {
    "get": lambda session, key: session.get(key),
    "item": lambda session, key: session[key],
    "in": lambda session, key: key in session,
    "content": lambda session: content(session),
    "copy": lambda session: content(session.copy()),
    "peek": lambda session, queue: list(session.peek_flash(queue)),
    "told": lambda session, queue: session.pop_flash(queue),
    "set": lambda session, key, value: session.__setitem__(key, value),
    "delete": lambda session, key: session.__delitem__(key),
    "pop": lambda session, key: session.pop(key),
    "pop or": lambda session, key: session.pop(key, "nothing"),
    "setdefault": lambda session, key, value: session.setdefault(key, value),
    "update": lambda session, items: session.update(items),
    "clear": lambda session: session.clear(),
    "invalidate": lambda session: session.invalidate(),
    "changed": lambda session: session.changed(),
    "inside": lambda session, key: (session[key].append("more"), session.changed()),
    "flash": lambda session, *given: session.flash(*given),
    "token": lambda session: session.get_csrf_token(),
    "new token": lambda session: session.new_csrf_token(),
}


def content(session: Any) -> list[tuple[str, Any]]:
    """What is in it, in its order; flashes are beside the keys of ours."""
    return [(key, value) for key, value in session.items() if not key.startswith("_f_")]


def step(name: str, *arguments: Any) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), *arguments)


steps = st.one_of(
    *(step(name, keys) for name in ("get", "item", "in", "delete", "pop", "pop or", "inside")),
    *(step(name, keys, values) for name in ("set", "set", "setdefault")),
    *(step(name, queues) for name in ("peek", "told")),
    *(step(name) for name in ("content", "copy", "clear", "invalidate", "changed", "token", "new token")),
    step("update", st.dictionaries(keys, values, max_size=2)),
    step("flash", values, queues),
    step("flash", values, queues, st.booleans()),
)
endings = st.sampled_from(["page", "page", "redirect", "error page", "crash"])
visits = st.lists(st.tuples(st.lists(steps, max_size=6), st.lists(steps, max_size=1), endings), max_size=5)


class Visitor:
    """One browser at one application; its CSRF tokens have numbers, as they are random."""

    def __init__(self, make: Callable[[bool], Any], saves: bool) -> None:
        self.saves = saves
        config = Configurator(session_factory=make(saves))
        config.add_route("view", "/")
        config.add_view(self.view, route_name="view")
        config.add_exception_view(lambda request: Response("oops", status=500), context=LookupError)
        self.site = TestApp(config.make_wsgi_app())
        self.tokens: list[str] = []
        self.answers: list[Any] = []

    def visit(self, steps: list[Step], late: list[Step], ending: str) -> Any:
        """What the application saw; whether a cookie was sent."""
        if ending == "crash" or not self.saves:  # on a server, a log-out counts even if nothing is saved
            steps, late = ([each for each in part if each[0] != "invalidate"] for part in (steps, late))
        self.steps, self.late, self.ending = steps, late, ending
        self.answers = []
        try:
            response = self.site.get("/", expect_errors=True)
        except ArithmeticError:
            return self.answers, "crash", False
        return self.answers, response.status_int, "Set-Cookie" in response.headers

    def view(self, request: Any) -> Any:
        request.add_response_callback(self.callback)  # first: theirs lose what one writes after their own
        session = request.session
        held = content(session) or any(session.peek_flash(queue) for queue in QUEUES)
        self.answers.append(session.new if held else "empty")  # what is empty, we never stored
        self.answers.extend(self.seen(session, *each) for each in self.steps)
        if self.ending == "redirect":
            raise HTTPFound("/elsewhere")
        if self.ending in ("error page", "crash"):
            raise LookupError if self.ending == "error page" else ArithmeticError
        return Response("a page")

    def callback(self, request: Any, response: Any) -> None:
        self.answers.extend(self.seen(request.session, *each) for each in self.late)

    def seen(self, session: Any, name: str, *arguments: Any) -> Any:
        try:
            return self.shown(DO[name](session, *arguments))
        except (KeyError, AttributeError, TypeError) as error:
            return type(error)

    def shown(self, value: Any) -> str:
        text = repr(value)
        for token in re.findall("[0-9a-f]{40}", text):
            if token not in self.tokens:
                self.tokens.append(token)
            text = text.replace(token, f"token {self.tokens.index(token)}")
        return text


@settings(max_examples=40)
@given(visits=visits, saves=st.booleans())
def test_an_application_sees_what_it_would_see_over_pyramids_own_sessions(
    visits: list[tuple[list[Step], list[Step], str]], saves: bool
) -> None:
    first = Visitor(own, saves)
    others = {name: Visitor(make, saves) for name, make in OURS.items()}
    for visit in visits:
        *expected, cookie = first.visit(*deepcopy(visit))
        for name, other in others.items():
            *found, sent = other.visit(*deepcopy(visit))
            assert (name, found) == (name, expected)
            assert cookie or not sent
