"""A take-over and the other sessions of a site: what is removed with the old one, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from webob import Request

from sessions_wsgi import (
    CookieOptions,
    CookieStore,
    Key,
    MemoryStore,
    Session,
    SessionMiddleware,
    get_registry,
)
from sessions_wsgi.errors import DecodeError
from sessions_wsgi.protocols import Imported
from sessions_wsgi.stores._builtin import BuiltinStore
from sessions_wsgi.testing import make_cookie

KEY = Key.generate()
OLD = CookieStore(KEY, audience="old")


class Named:
    """A store as a source whose cookie is called otherwise than the session."""

    def __init__(self, cookie: str) -> None:
        self.cookie = cookie

    def read(self, text: str, now: float) -> Any:
        session = OLD.open(self.cookie, [text])
        if session.is_new:
            raise DecodeError("malformed")
        return Imported(dict(session), now)


def answer(stores: Any, cookies: dict[str, str], act: Callable[[Any], object]) -> dict[str, str]:
    """The cookies that a request sets, an empty text for each that it deletes."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        act(get_registry(environ))
        start_response("200 OK", [])
        return [b""]

    header = "; ".join(f"{name}={text}" for name, text in cookies.items())
    request = Request.blank("https://localhost/", headers={"Cookie": header} if header else {})
    sent = request.get_response(SessionMiddleware(app, stores)).headers.getall("Set-Cookie")
    pairs = (value.partition(";")[0].partition("=") for value in sent)
    return {name: text for name, _, text in pairs}


@pytest.fixture
def stores() -> dict[str, BuiltinStore]:
    """One cookie held everything; now the log-in has one of its own, and both take over from the old one."""
    return {
        "session": CookieStore(KEY, accept=[OLD]),
        "auth": CookieStore(KEY, accept=[Named("session")]),
    }


def test_a_log_out_spares_the_cookie_of_another_session(stores: dict[str, BuiltinStore]) -> None:
    cookies = {
        "session": make_cookie(stores["session"], "session", {"basket": ["apple"]}),
        "auth": make_cookie(stores["auth"], "auth", {"user": 1}),
    }
    assert answer(stores, cookies, lambda sessions: sessions["auth"].destroy()) == {"auth": ""}


def test_nor_does_it_undo_what_was_just_saved_there(stores: dict[str, BuiltinStore]) -> None:
    cookies = {
        "session": make_cookie(stores["session"], "session", {"basket": ["apple"]}),
        "auth": make_cookie(stores["auth"], "auth", {"user": 1}),
    }

    def act(sessions: Any) -> None:
        sessions["session"]["basket"].append("pear")
        sessions["auth"].destroy()

    sent = answer(stores, cookies, act)
    assert sent["auth"] == ""
    assert stores["session"].open("session", [sent["session"]])["basket"] == ["apple", "pear"]


def test_two_sessions_take_over_from_one_cookie(stores: dict[str, BuiltinStore]) -> None:
    """The one that goes on under its name keeps it."""
    cookies = {"session": make_cookie(OLD, "session", {"user": 1, "basket": ["apple"]})}

    def act(sessions: Any) -> None:
        sessions["session"]["basket"].append("pear")
        sessions["auth"]["user"] = 2

    sent = answer(stores, cookies, act)
    assert stores["session"].open("session", [sent["session"]])["basket"] == ["apple", "pear"]
    assert stores["auth"].open("auth", [sent["auth"]])["user"] == 2


@pytest.mark.parametrize("how", ["destroy", "end"])
def test_a_request_on_its_way_does_not_undo_a_log_out_by_an_old_cookie_beside_it(how: str) -> None:
    """Its own cookie tells that it ended: the old one that came along signs nobody in again."""
    store = MemoryStore(KEY, accept=[OLD], options=CookieOptions(prefix="__Host-"))
    signed_in: dict[str, str] = {}
    signed_in |= answer(store, {}, lambda sessions: sessions["session"].login("ada"))
    signed_in |= answer(OLD, {}, lambda sessions: sessions["session"].login("ada"))
    assert set(signed_in) == {"__Host-session", "session"}

    if how == "end":
        [device] = store.sessions_of("ada")
        assert store.end("ada", device.handle)
    else:
        answer(store, signed_in, lambda sessions: sessions["session"].destroy())
    found: list[Session] = []
    sent = answer(store, signed_in, lambda sessions: found.append(sessions["session"]))
    assert (found[0].principal, sent) == (None, {})
