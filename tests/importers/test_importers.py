"""What every importer does: options, times, forged and senseless texts; and whole sites that change over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from foreign import LIBRARIES, SECRET, UNTIL, Library, flask_cookie, gorilla_cookie
from hypothesis import given
from hypothesis import strategies as st

import sessions_wsgi.importers
from sessions_wsgi import (
    ConfigError,
    CookieOptions,
    CookieStore,
    DecodeError,
    Importer,
    JSONSerializer,
    Lifetime,
    MemoryStore,
    UsageError,
    get_session,
)
from sessions_wsgi.importers import FlaskImporter
from sessions_wsgi.testing import ManualClock

VALUES = {"user": "ada", "cart": ["apple", {"n": 2}]}
DAY = 86400.0


@cache
def cookie_of(library: str) -> str:
    """A cookie that this library made, with `VALUES` in it."""
    return LIBRARIES[library].cookie(VALUES)


@pytest.fixture(params=LIBRARIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def library(name: str) -> Library:
    return LIBRARIES[name]


@pytest.fixture
def text(name: str) -> str:
    return cookie_of(name)


def refused(importer: Any, text: str, now: float | None = None) -> str:
    """The reason why it does not read this."""
    with pytest.raises(DecodeError) as caught:
        importer.read(text, time.time() if now is None else now)
    assert caught.value.__cause__ is None
    return caught.value.reason


# Times


def test_a_cookie_opens(library: Library, text: str) -> None:
    importer: Importer = library.reads()
    found = importer.read(text, time.time())
    assert dict(found.values) == VALUES
    assert (found.flashes or (), found.principal) == ((), None)
    assert abs(found.created - time.time()) < 60
    assert found.last_seen is not None


def test_from_until_on_nothing_opens(library: Library, text: str) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    importer = library.reads(until=until)
    assert importer.read(text, until.timestamp() - 0.001).values == VALUES
    assert refused(importer, text, until.timestamp()) == "expired"


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({}, 30 * DAY), ({"max_age": 600}, 600), ({"max_age": timedelta(days=2)}, 2 * DAY)],
    ids=["30 days", "seconds", "timedelta"],
)
def test_what_is_older_than_max_age_does_not_open(
    library: Library, text: str, options: Any, seconds: float
) -> None:
    importer = library.reads(**options)
    made = importer.read(text, time.time()).last_seen
    assert importer.read(text, made + seconds).values == VALUES
    assert refused(importer, text, made + seconds + 0.01) == "expired"


def test_without_max_age_only_until_counts(library: Library, text: str) -> None:
    assert library.reads(max_age=None).read(text, time.time() + 9999 * DAY).values == VALUES


def test_what_is_from_the_future_does_not_open(library: Library, text: str) -> None:
    """Clocks may differ by a minute."""
    importer = library.reads()
    made = importer.read(text, time.time()).last_seen
    assert importer.read(text, made - 59).values == VALUES
    assert refused(importer, text, made - 61) == "expired"


# Forged and senseless texts


def test_a_changed_text_does_not_open(library: Library, text: str) -> None:
    importer = library.reads()
    for position in range(0, len(text) - 4, 5):  # the last letters may spell the same bytes
        letter = "A" if text[position] != "A" else "B"
        changed = text[:position] + letter + text[position + 1 :]
        assert refused(importer, changed) in ("forged", "malformed"), position


def test_another_secret_opens_nothing(text: str, name: str) -> None:
    for other, each in LIBRARIES.items():
        if other.partition(",")[0] != name.partition(",")[0]:
            assert refused(each.reads(), text) in ("forged", "malformed")


SENSELESS = [
    "",
    " ",
    ".",
    ":",
    "|",
    "..",
    "::",
    "a.b.c",
    "a:b:c",
    "=",
    "====",
    "A",
    "AAAA",
    "ü",
    "\ud800",
    "\0",
]
SENSELESS += ["A" * 40, "A" * 41, "A" * 200, "." * 200, ":" * 200, "fHx8fA==", "A" * 8193, "A" * 100_000]


@pytest.mark.parametrize("senseless", SENSELESS, ids=lambda each: repr(each[:12]))
def test_senseless_texts_are_refused(library: Library, senseless: str) -> None:
    assert refused(library.reads(), senseless) in ("malformed", "forged")


IMPORTERS = {name: each.reads() for name, each in LIBRARIES.items()}
TEXTS = st.one_of(st.text(max_size=300), st.text(alphabet="ABab01-_=.:|/+ \n", max_size=300))


@pytest.mark.parametrize("name", IMPORTERS)
@given(text=TEXTS)
def test_random_text_raises_nothing_but_a_decode_error(name: str, text: str) -> None:
    assert refused(IMPORTERS[name], text) in ("malformed", "forged")


# Who it is


def test_who_is_signed_in_is_what_the_application_says(library: Library, text: str) -> None:
    asked: list[Any] = []

    def who(values: Any) -> str:
        asked.append(dict(values))
        return str(values["user"])

    assert library.reads(principal=who).read(text, time.time()).principal == "ada"
    assert asked == [VALUES]


@pytest.mark.parametrize(
    "who", [lambda values: None, lambda values: values["nobody"]], ids=["None", "KeyError"]
)
def test_nobody_is_signed_in(library: Library, text: str, who: Any) -> None:
    assert library.reads(principal=who).read(text, time.time()).principal is None


@pytest.mark.parametrize("wrong", [7, "", "a\nb", b"ada"], ids=repr)
def test_what_is_no_name_is_a_mistake_of_the_application(wrong: Any) -> None:
    importer = FlaskImporter(SECRET, until=UNTIL, principal=lambda values: wrong)
    with pytest.raises(UsageError, match="'principal' must return"):
        importer.read(cookie_of("flask"), time.time())


# Options


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("until", value) for value in (None, 0, "2030-01-01", datetime(2030, 1, 1))),  # noqa: DTZ001
        *(("max_age", value) for value in (0, -1, True, "1 day", float("nan"), float("inf"), timedelta())),
        *(("cookie", value) for value in ("", "a b", "a=b", "ü", 5)),
        *(("options", value) for value in ({}, "Path=/", CookieOptions)),
        *(("principal", value) for value in ("_user_id", 5)),
    ],
)
def test_an_option_that_is_wrong_is_told(library: Library, option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"'{option}'") as caught:
        library.reads(**{option: value})
    assert caught.value.option == option


def test_until_is_required() -> None:
    with pytest.raises(ConfigError, match="'until'"):
        FlaskImporter(SECRET)  # type: ignore[call-arg]


@pytest.mark.parametrize("secret", ["", b"", None, 5, [], [""], ["good", None]], ids=repr)
@pytest.mark.parametrize("kind", sessions_wsgi.importers.__all__)
def test_a_secret_that_is_none(kind: str, secret: Any) -> None:
    with pytest.raises(ConfigError, match=r"'\w+' must"):
        getattr(sessions_wsgi.importers, kind)(secret, until=UNTIL)


def test_no_secret_is_shown(library: Library) -> None:
    assert SECRET not in repr(library.reads())
    assert SECRET not in str(library.reads())


def test_the_surface_is_sorted_and_complete() -> None:
    names = sessions_wsgi.importers.__all__
    assert names == sorted(names)
    assert all(getattr(sessions_wsgi.importers, name).__doc__ for name in names)


# Whole sites


@pytest.fixture(params=["cookie", "encrypted", "memory"])
def site(request: pytest.FixtureRequest, make_store: Any, validated: Any) -> Callable[..., Any]:
    """Makes a visitor, with these cookies, of a site that accepts what this importer reads."""

    def make(importer: Any, act: Any = lambda session: None, clock: Any = None, **cookies: str) -> Any:
        clock = clock or ManualClock(time.time())
        store = make_store(request.param, accept=[importer], clock=clock)

        def app(environ: Any, start_response: Any) -> Any:
            visitor.session = get_session(environ)
            act(visitor.session)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b""]

        visitor = validated(app, store)
        visitor.jar.update(cookies)
        return visitor

    return make


def test_a_visitor_stays_signed_in(site: Any, library: Library, text: str) -> None:
    """In the very response in which the foreign cookie came it is replaced; then it is not needed."""
    importer = library.reads(principal=lambda values: values["user"])
    visitor = site(importer, session=text)
    reply = visitor.get()
    assert list(reply.cookies) == ["session"]
    assert visitor.jar["session"] not in ("", text)
    importer.read = None  # whoever calls it fails
    for _ in range(2):
        assert dict(visitor.session) == VALUES
        assert (visitor.session.principal, visitor.session.is_new) == ("ada", False)
        assert abs(visitor.session.created.timestamp() - time.time()) < 60
        visitor.get()


def test_the_cookie_of_another_name_is_removed(site: Any, library: Library, text: str) -> None:
    if library is LIBRARIES["gorilla"]:  # which binds its cookies to their names
        text = gorilla_cookie(json.dumps(VALUES).encode(), time.time(), name="foreign.id")
    visitor = site(library.reads(cookie="foreign.id"), **{"foreign.id": text})
    assert visitor.get().cookies.keys() == {"session", "foreign.id"}
    assert visitor.jar.keys() == {"session"}
    assert dict(visitor.session) == VALUES


def test_it_is_removed_with_the_attributes_that_it_had(site: Any) -> None:
    """Or the browser would keep it, and a log-out would not last."""
    options = CookieOptions(path="/app", domain="example.com")
    visitor = site(FlaskImporter(SECRET, until=UNTIL, cookie="old", options=options), old=cookie_of("flask"))
    (deletion,) = [header for header in visitor.get().all("set-cookie") if header.startswith("old=")]
    assert {"Max-Age=0", "Path=/app", "Domain=example.com"} <= set(deletion.split("; "))


def test_a_log_out_ends_a_session_that_just_came(site: Any, library: Library, text: str) -> None:
    visitor = site(library.reads(), lambda session: session.destroy(), session=text)
    visitor.get()
    assert visitor.jar == {}


def test_flashes_are_taken_over(site: Any) -> None:
    text = flask_cookie({"a": 1}, [("one", "message"), ("two", "error")])
    visitor = site(FlaskImporter(SECRET, until=UNTIL), session=text)
    visitor.get()
    assert visitor.session.peek_flashes("message") == ["one"]
    assert visitor.session.peek_flashes("error") == ["two"]


def test_a_change_in_the_same_request_is_saved(site: Any, library: Library, text: str) -> None:
    visitor = site(library.reads(), lambda session: session["cart"].append(1), session=text)
    visitor.get()
    visitor.get()
    assert visitor.session["cart"] == [*VALUES["cart"], 1, 1]


@pytest.mark.parametrize("days", [31, 400_000], ids=["expired", "after until"])
def test_what_came_too_late_is_a_new_session(site: Any, library: Library, text: str, days: int) -> None:
    visitor = site(library.reads(), clock=ManualClock(time.time() + days * DAY), session=text)
    assert visitor.get().cookies == {}
    assert (visitor.session.is_new, dict(visitor.session)) == (True, {})
    assert visitor.session.rejected is not None


@pytest.mark.parametrize(
    "senseless", [*SENSELESS[:14], "A" * 200, "A" * 5000], ids=lambda each: repr(each[:12])
)
def test_a_senseless_cookie_is_a_new_session(site: Any, library: Library, senseless: str) -> None:
    if not senseless.isascii():
        senseless = senseless.encode("utf-8", "surrogatepass").decode("latin-1")
    visitor = site(library.reads(cookie="old"), old=senseless, session=senseless)
    assert visitor.get().status == "200 OK"
    assert visitor.session.is_new


def test_a_forged_cookie_is_a_new_session(site: Any, library: Library, text: str) -> None:
    visitor = site(library.reads(), session="x" + text[1:] if text[0] != "x" else "y" + text[1:])
    visitor.get()
    assert visitor.session.is_new


def test_a_session_that_idles_no_longer_than_allowed_is_taken_over(key: str) -> None:
    """However long ago it began: what counts is when its visitor was last seen."""
    now = time.time()
    lifetime = Lifetime(absolute=2 * DAY, idle=600)
    importer = LIBRARIES["pyramid"].reads()
    for ahead, is_new in ((599, False), (700, True)):
        clock = ManualClock(importer.read(cookie_of("pyramid"), now).last_seen + ahead)
        store = MemoryStore(key, accept=[importer], clock=clock, lifetime=lifetime)
        assert store.open("session", [cookie_of("pyramid")]).is_new is is_new


def test_a_store_of_json_takes_what_json_keeps(key: str) -> None:
    store = CookieStore(key, accept=[LIBRARIES["django"].reads()], serializer=JSONSerializer())
    session = store.open("session", [cookie_of("django")])
    assert store.open("session", [store.commit(session) or ""]) == VALUES
