"""Random use of Django's sessions: an application sees what it would see over Django's own engines."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends import cache, file, signed_cookies
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_classes import Lazy

from sessions_wsgi import CookieStore, MemoryStore
from sessions_wsgi.ext.django import SessionStore

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"

pytestmark = pytest.mark.usefixtures("django_project")


# What is done with a session: a name below, and its arguments.

keys = st.sampled_from(["a", "b", "cart"])
scalars = st.sampled_from([None, True, 0, 7, 2**70, -1.5, "", "text", "\u2603", Lazy("lazy")])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2)
)
expiries = st.sampled_from([None, 0, 60, timedelta(seconds=300), timedelta(days=100)])

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+")

Step = tuple[Any, ...]
DO: dict[str, Callable[..., Any]] = {
    "get": lambda session, key: session.get(key),
    "item": lambda session, key: session[key],
    "in": lambda session, key: (key in session, session.has_key(key)),
    "content": lambda session: (list(session.keys()), list(session.values()), list(session.items())),
    "flags": lambda session: (session.accessed, session.modified, session.is_empty()),
    "set": lambda session, key, value: session.__setitem__(key, value),
    "delete": lambda session, key: session.__delitem__(key),
    "pop": lambda session, key: session.pop(key),
    "pop or": lambda session, key: session.pop(key, "nothing"),
    "setdefault": lambda session, key, value: session.setdefault(key, value),
    "update": lambda session, items: session.update(items),
    "clear": lambda session: session.clear(),
    "inside": lambda session, key: (session[key].append("more"), setattr(session, "modified", True)),
    "modified": lambda session, value: setattr(session, "modified", value),
    "flush": lambda session: session.flush(),
    "cycle": lambda session: session.cycle_key(),
    "save": lambda session: session.save(),
    "expiry": lambda session, value: session.set_expiry(value),
    "age": lambda session: ((session.get_expiry_age() + 5) // 10, session.get_expire_at_browser_close()),
    "test cookie": lambda session: session.set_test_cookie(),
    "worked": lambda session: (session.test_cookie_worked(), session.delete_test_cookie()),
}


def step(name: str, *arguments: Any) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), *arguments)


steps = st.one_of(
    *(step(name, keys) for name in ("get", "item", "in", "delete", "pop", "pop or", "inside")),
    *(step(name, keys, values) for name in ("set", "set", "setdefault")),
    *(step(name) for name in ("content", "flags", "clear", "flush", "cycle", "save", "age")),
    *(step(name) for name in ("test cookie", "worked")),
    step("update", st.dictionaries(keys, values, max_size=2)),
    step("modified", st.booleans()),
    step("expiry", expiries),
)
endings = st.sampled_from(["page", "page", "page", "error", "ended by another"])
visits = st.lists(st.tuples(st.lists(steps, max_size=6), endings), max_size=5)


class Visitor:
    """One browser at one application, over an engine."""

    def __init__(self, engine: type[Any]) -> None:
        self.engine = engine
        self.on_server = engine is not signed_cookies.SessionStore
        self.handle = SessionMiddleware(self.view)
        self.handle.SessionStore = engine
        self.jar: dict[str, str] = {}
        self.answers: list[Any] = []

    def visit(self, given: list[Step], ending: str) -> Any:
        """What the application saw, and what the browser got."""
        if ending != "page":  # the browser keeps a key that was replaced: ours refuse it for two minutes
            given = [each for each in given if each[0] != "cycle"]
        self.given, self.ending, self.answers = given, ending, []
        request = RequestFactory().get("/")
        request.COOKIES.update(self.jar)
        try:
            response = self.handle(request)
        except (SessionInterrupted, UpdateError):
            return self.answers, "interrupted"
        cookie = response.cookies.get("sessionid")
        if cookie is not None:
            self.jar = {} if cookie["max-age"] == 0 else {"sessionid": cookie.value}
            return self.answers, bool(cookie.value), self.attributes(cookie), response.get("Vary")
        return self.answers, None, None, response.get("Vary")

    def attributes(self, cookie: Any) -> dict[str, Any]:
        """All of them, the ages to ten seconds."""
        shown = {name: value for name, value in cookie.items() if name != "expires"}
        return shown | {"max-age": shown["max-age"] and (shown["max-age"] + 5) // 10}

    def view(self, request: Any) -> HttpResponse:
        session = request.session
        self.answers.extend(self.seen(session, *each) for each in self.given)
        if self.ending == "ended by another" and session.session_key:
            self.engine(session.session_key).flush()
        return HttpResponse(status=500 if self.ending == "error" else 200)

    def seen(self, session: Any, name: str, *arguments: Any) -> Any:
        before = session.session_key
        try:
            answer = MOMENT.sub("a moment", repr(DO[name](session, *arguments)))
        except (KeyError, AttributeError, TypeError) as error:
            answer = type(error).__name__
        if not self.on_server:
            return answer
        return answer, session.session_key is None, session.session_key == before


@pytest.fixture(params=["memory", "cookie"])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of store in the settings."""
    clock = count(time.time(), 0.01).__next__  # or two saves in one millisecond would make the same cookie
    made: Any = MemoryStore(KEY) if request.param == "memory" else CookieStore(KEY, clock=clock)
    with override_settings(SESSIONS_WSGI_STORE=made):
        yield request.param


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(visits=visits, always=st.booleans())
def test_an_application_sees_what_it_would_see_over_djangos_own_engines(
    store: str, tmp_path: Path, visits: list[tuple[list[Step], str]], always: bool
) -> None:
    engines = [cache.SessionStore, file.SessionStore] if store == "memory" else [signed_cookies.SessionStore]
    with override_settings(SESSION_SAVE_EVERY_REQUEST=always, SESSION_FILE_PATH=str(tmp_path)):
        ours, *others = [Visitor(engine) for engine in (SessionStore, *engines)]
        ours.on_server = store == "memory"
        for given_steps, ending in visits:
            kind = "page" if ending == "ended by another" and not ours.on_server else ending
            found = ours.visit(deepcopy(given_steps), kind)
            for other in others:
                expected = other.visit(deepcopy(given_steps), kind)
                assert (other.engine, found) == (other.engine, expected)
