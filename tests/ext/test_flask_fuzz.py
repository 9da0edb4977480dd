"""Random use of `flask.session`: what an application sees over Flask's own sessions, it sees over ours."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import flask
from flask import Flask, flash, get_flashed_messages, request, session
from flask.sessions import SecureCookieSessionInterface
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from own_classes import Lazy, Size

from sessions_wsgi import CookieStore, JSONSerializer, MemoryStore
from sessions_wsgi.ext.flask import SessionInterface

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"

OURS: dict[str, Callable[[], Any]] = {
    "by config": SessionInterface,
    "server": lambda: SessionInterface(MemoryStore(KEY)),
    "json": lambda: SessionInterface(CookieStore(KEY, serializer=JSONSerializer())),
}


# What is done with a session: a name below, and its arguments.

keys = st.sampled_from(["a", "b", "cart", "_permanent", "_flashes"])
words = st.sampled_from(["a", "b", "cart"])
categories = st.sampled_from(["message", "error", ""])
scalars = st.sampled_from(
    [
        None, True, 0, 7, 2**70, -1.5, "", "text", "\u2603", b"\x00\xff", Markup("<b>&amp;</b>"), UUID(int=5),
        datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), (), Lazy("lazy"), Size.BIG,
        {" t": [1]}, {" m": "x"}, {" di": 1},
    ]
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.tuples(inner) | st.dictionaries(words, inner, max_size=2),
)

Step = tuple[Any, ...]
READS: dict[str, Callable[..., Any]] = {
    "get": lambda opened, key: opened.get(key),
    "item": lambda opened, key: opened[key],
    "in": lambda opened, key: key in opened,
    "content": lambda opened: dict(opened),
    "copy": lambda opened: opened.copy(),
    "size": lambda opened: (len(opened), bool(opened), sorted(opened)),
    "flags": lambda opened: (opened.permanent, opened.modified),
    "told": lambda _, kinds: get_flashed_messages(with_categories=True, category_filter=kinds),
    "told plainly": lambda _: get_flashed_messages(),
}
WRITES: dict[str, Callable[..., Any]] = {
    "set": lambda opened, key, value: opened.__setitem__(key, value),
    "delete": lambda opened, key: opened.__delitem__(key),
    "pop": lambda opened, key: opened.pop(key),
    "pop or": lambda opened, key: opened.pop(key, "nothing"),
    "setdefault": lambda opened, key, value: opened.setdefault(key, value),
    "update": lambda opened, items: opened.update(items),
    "clear": lambda opened: opened.clear(),
    "flash": lambda _, message, category: flash(message, category),
    "permanent": lambda opened, value: setattr(opened, "permanent", value),
    "modified": lambda opened, value: setattr(opened, "modified", value),
    "inside": lambda opened, key: (opened[key].append("more"), setattr(opened, "modified", True)),
}
DO = READS | WRITES
NEED_A_REQUEST = {"told", "told plainly", "flash"}


def step(name: str, *arguments: Any) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), *arguments)


reads = st.one_of(
    *(step(name, keys) for name in ("get", "item", "in")),
    *(step(name) for name in ("content", "copy", "size", "flags", "told plainly")),
    step("told", st.lists(categories, max_size=2)),
)
writes = st.one_of(
    *(step(name, words, values) for name in ("set", "setdefault")),
    *(step(name, keys) for name in ("delete", "pop", "pop or")),
    step("update", st.dictionaries(words, values, max_size=2)),
    step("clear"),
    step("flash", values, categories),
    step("permanent", st.booleans()),
    step("modified", st.booleans()),
    step("inside", words),
)
steps = st.lists(reads | writes, max_size=6)
endings = st.sampled_from(["page", "page", "redirect", "missing", "error"])
visits = st.lists(st.tuples(st.sampled_from(["view", "view", "transaction"]), steps, endings), max_size=5)


def seen(opened: Any, name: str, *arguments: Any) -> Any:
    """What a step answers: a value with its type, or the class of its error."""
    try:
        answer = DO[name](opened, *arguments)
    except (KeyError, AttributeError, TypeError) as error:
        return type(error)
    return repr(in_order(answer))


def in_order(value: Any) -> Any:
    """The same with the keys of dicts sorted: Flask does not keep their order."""
    if isinstance(value, dict):
        return {key: in_order(item) for key, item in sorted(value.items())}
    return type(value)(map(in_order, value)) if isinstance(value, list | tuple) else value


def make_app(interface: Any, refresh: bool) -> Flask:
    app = Flask("fuzzed")
    app.config.update(SECRET_KEY=KEY, SESSION_REFRESH_EACH_REQUEST=refresh)
    app.logger.disabled = True
    app.session_interface = interface
    answers: list[Any] = []
    plan: dict[str, Any] = {}
    app.extensions["fuzz"] = (plan, answers)

    @app.get("/")
    def view() -> Any:
        if plan["steps"]:
            session.get("a")  # Flask 3.0 takes only some uses for an access
        answers.extend(seen(session, *each) for each in plan["steps"])
        ending = plan["ending"]
        if ending == "error":
            raise LookupError
        if ending == "missing":
            flask.abort(404)
        return flask.redirect("/elsewhere") if ending == "redirect" else request.path

    return app


def cookie_of(response: Any) -> Any:
    """How the response sets the cookie, whatever is in it; a moment of expiry counts by being there."""
    found = response.headers.getlist("Set-Cookie")
    return [
        (each.startswith("session=;"), sorted(part.partition("=")[0] for part in each.split("; ")))
        for each in found
    ]


class Visitor:
    """One browser at one application."""

    def __init__(self, interface: Any, refresh: bool) -> None:
        self.app = make_app(interface, refresh)
        self.client = self.app.test_client()

    def visit(self, kind: str, given: list[Step], ending: str) -> Any:
        plan, answers = self.app.extensions["fuzz"]
        answers.clear()
        plan.update(steps=given, ending=ending)
        if kind == "transaction":
            with self.client.session_transaction() as opened:
                answers.extend(seen(opened, *each) for each in given if each[0] not in NEED_A_REQUEST)
            return list(answers), self.client.get_cookie("session") is not None
        had = self.client.get_cookie("session") is not None
        response = self.client.get("/")
        cookies = [
            each for each in cookie_of(response) if had or not each[0]
        ]  # Flask deletes what nobody has
        return list(answers), response.status_code, cookies, response.headers.get("Vary")


@settings(max_examples=60)
@given(visits=visits, refresh=st.booleans())
def test_an_application_sees_what_it_would_see_over_flasks_own_sessions(
    visits: list[tuple[str, list[Step], str]], refresh: bool
) -> None:
    own = Visitor(SecureCookieSessionInterface(), refresh)
    others = {name: Visitor(make(), refresh) for name, make in OURS.items()}
    for visit in visits:
        expected = own.visit(*deepcopy(visit))
        for name, other in others.items():
            assert (name, other.visit(*deepcopy(visit))) == (name, expected)
