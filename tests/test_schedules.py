"""What is promised of two requests at the same moment, in every order of their steps: no luck is needed.

A `revoke` takes many steps: there, one request at most twice waits in the middle for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from schedules import Stepping, every_order

from sessions_wsgi import (
    CookieOptions,
    CookieStore,
    ServerStore,
    Session,
    SessionMiddleware,
    get_session,
)
from sessions_wsgi.stores import _writer
from sessions_wsgi.stores._builtin import BuiltinStore

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
ELSEWHERE = CookieOptions(prefix="__Host-")

STORES: dict[str, Callable[..., BuiltinStore]] = {
    "server": lambda **more: ServerStore(Stepping(max_bytes=None), KEY, **more),
    "sealed": lambda **more: ServerStore(Stepping(max_bytes=None), KEY, encrypt=True, **more),
    "cookie": lambda **more: CookieStore(KEY, revocations=Stepping(max_bytes=None), **more),
}
store_kind = pytest.mark.parametrize("kind", STORES)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_writer, "_wait", lambda _: None)


class Answer(NamedTuple):
    """What a request brought back: status, and cookies by name."""

    status: str
    cookies: dict[str, str]


def visit(store: BuiltinStore, cookies: dict[str, str], act: Callable[[Session], object]) -> Answer:
    """One request from begin to end."""
    sent: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        act(get_session(environ))
        start_response("200 OK", [])
        return []

    header = "; ".join(f"{name}={text}" for name, text in cookies.items())
    environ = {"HTTP_COOKIE": header, "wsgi.url_scheme": "https"}
    SessionMiddleware(app, store)(environ, lambda *given: sent.append(given) or list)  # type: ignore[arg-type,return-value]
    [(status, headers)] = sent
    pairs = [value.partition(";")[0].partition("=") for name, value in headers if name == "Set-Cookie"]
    return Answer(status, {name: text for name, _, text in pairs})


def living(store: BuiltinStore, texts: set[str]) -> list[Session]:
    """The sessions that these texts still open."""
    found = [store.open("session", [text]) for text in texts]
    return [session for session in found if not session.is_new]


def begin(session: Session) -> None:
    session["secret"] = 1


def sign_in(session: Session) -> None:
    session["secret"] = 1
    session.login("ada")


def write_a(session: Session) -> None:
    session["a"] = 1


def write_b(session: Session) -> None:
    session["b"] = 1


def flash(session: Session) -> None:
    session.flash("message")


def remember(session: Session) -> None:
    session.max_age = 100


def regenerate(session: Session) -> None:
    session.regenerate()


def login(session: Session) -> None:
    session.login("bob")


def log_out(session: Session) -> None:
    session.destroy()


def log_out_and_flash(session: Session) -> None:
    session.destroy()
    session.flash("Goodbye.")


def read(session: Session) -> None:
    session.get("secret")


WRITES = [write_a, write_b, flash, remember]
OTHERS = [*WRITES, regenerate, login, log_out, log_out_and_flash, read]


@store_kind
@pytest.mark.parametrize("leave", [log_out, log_out_and_flash])
@pytest.mark.parametrize("other", OTHERS)
def test_a_log_out_is_final(kind: str, leave: Any, other: Any) -> None:
    """Nothing of what was in the session can be reached afterwards, by whatever cookie was sent."""
    now: dict[str, Any] = {}

    def both() -> list[Callable[[], Answer]]:
        now["store"] = store = STORES[kind]()
        now["cookies"] = cookies = visit(store, {}, begin).cookies
        return [lambda: visit(store, cookies, leave), lambda: visit(store, cookies, other)]

    for order, answers in every_order(both):
        assert [answer.status for answer in answers] == ["200 OK"] * 2, order
        texts = {
            text
            for each in (now["cookies"], *(answer.cookies for answer in answers))
            for text in each.values()
        }
        for session in living(now["store"], texts - {""}):
            assert "secret" not in session, order


@pytest.mark.parametrize("kind", ["server", "sealed"])
@pytest.mark.parametrize("one", WRITES)
@pytest.mark.parametrize("other", WRITES)
def test_no_update_is_lost(kind: str, one: Any, other: Any) -> None:
    now: dict[str, Any] = {}

    def both() -> list[Callable[[], Answer]]:
        now["store"] = store = STORES[kind]()
        now["cookies"] = cookies = visit(store, {}, begin).cookies
        return [lambda: visit(store, cookies, one), lambda: visit(store, cookies, other)]

    for order, answers in every_order(both):
        assert [answer.status for answer in answers] == ["200 OK"] * 2, order
        [session] = living(now["store"], set(now["cookies"].values()))
        acts = [one, other]
        assert ("a" in session) == (write_a in acts), order
        assert ("b" in session) == (write_b in acts), order
        assert len(session.peek_flashes()) == acts.count(flash), order
        assert session.max_age == (100 if remember in acts else None), order


@store_kind
@pytest.mark.parametrize("other", [*WRITES, regenerate, read])
def test_revoke_is_final(kind: str, other: Any) -> None:
    now: dict[str, Any] = {}

    def both() -> list[Callable[[], Any]]:
        now["store"] = store = STORES[kind]()
        now["cookies"] = cookies = visit(store, {}, sign_in).cookies
        return [lambda: store.revoke("ada"), lambda: visit(store, cookies, other)]

    for order, (_, answer) in every_order(both, switches=2):
        texts = {*now["cookies"].values(), *answer.cookies.values()} - {""}
        assert all(session.principal is None for session in living(now["store"], texts)), order


@pytest.mark.parametrize("source", ["server", "cookie"])
@pytest.mark.parametrize("target", ["server", "cookie"])
@pytest.mark.parametrize("prefix", [ELSEWHERE, None], ids=["another cookie", "the same cookie"])
@pytest.mark.parametrize("leave", [log_out, log_out_and_flash])
@pytest.mark.parametrize("other", [write_a, flash, regenerate, log_out, read])
@pytest.mark.parametrize("still_there", [False, True], ids=["both here", "the other there"])
def test_a_log_out_is_final_when_the_session_moves(
    source: str, target: str, prefix: Any, leave: Any, other: Any, still_there: bool
) -> None:
    """`accept=`: a request may take it over at this moment, or be served by the store that it comes from."""
    now: dict[str, Any] = {}

    def both() -> list[Callable[[], Answer]]:
        now["before"] = before = STORES[source](options=prefix, audience="before")
        now["store"] = store = STORES[target](accept=[before])
        now["cookies"] = cookies = visit(before, {}, begin).cookies
        return [
            lambda: visit(store, cookies, leave),
            lambda: visit(before if still_there else store, cookies, other),
        ]

    for order, answers in every_order(both):
        assert [answer.status for answer in answers] == ["200 OK"] * 2, order
        texts = {
            text
            for each in (now["cookies"], *(answer.cookies for answer in answers))
            for text in each.values()
        }
        for store in (now["store"], now["before"]):
            assert all("secret" not in session for session in living(store, texts - {""})), order
