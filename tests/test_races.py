"""Processes that race, are killed, disagree about the time or find their server gone."""

from __future__ import annotations

import contextlib
import http.client
import os
import pickle
import random
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from webob import Request, Response

from sessions_wsgi import (
    BackendError,
    CookieStore,
    Lifetime,
    ServerStore,
    Session,
    SessionMiddleware,
    get_session,
    store_from_url,
)
from sessions_wsgi.backends import Lists
from sessions_wsgi.backends.file import FileBackend
from sessions_wsgi.backends.memcached import MemcachedBackend
from sessions_wsgi.backends.redis import RedisBackend
from sessions_wsgi.backends.sql import SQLBackend
from sessions_wsgi.backends.sqlite import SQLiteBackend

KEY = "kP4wZr8LxTq0Nd2VhJ6cYs9BmFg5aUe7iRo3WnXtCvM"
MODULE = __name__.rpartition(".")[2]
PROCESSES = 8
TIMEOUT = 1.0
#: What a slow machine may add to it.
SLACK = 1.5
#: That anything may take on a busy machine; nothing is meant to.
SECONDS = 60.0

Act = Callable[[Session], object]
Clock = Callable[[], float]

# Where sessions are: the same for all processes.


class Place:
    """Makes backends that work on the same storage."""

    table = "sessions"

    def __init__(self, name: str, path: Path, url: str) -> None:
        self.name, self.path, self.url = name, path, url
        self._made: list[Any] = []

    def backend(self, clock: Clock = time.time) -> Any:
        """A backend of this process, with this clock where one can be given."""
        make = {
            "file": lambda: FileBackend(self.path / "sessions", clock=clock),
            "sqlite": lambda: SQLiteBackend(self.path / "sessions.db", timeout=20, clock=clock),
            "redis": lambda: RedisBackend(self.url, timeout=TIMEOUT),
            "postgresql": lambda: SQLBackend(self.url, table=self.table, timeout=TIMEOUT, clock=clock),
            "mariadb": lambda: SQLBackend(self.url, table=self.table, timeout=TIMEOUT, clock=clock),
            "memcached": lambda: MemcachedBackend(self.url, timeout=TIMEOUT, clock=clock),
        }[self.name]
        backend = make()
        self._made.append(backend)
        return backend

    def store(self, *, clock: Clock = time.time, **options: Any) -> ServerStore:
        return ServerStore(self.backend(clock), KEY, clock=clock, **options)

    def close(self) -> None:
        for backend in self._made:
            if hasattr(backend, "close"):
                backend.close()


EMBEDDED = ["file", "sqlite"]
SERVERS = ["redis", "postgresql", "mariadb", "memcached"]
everywhere = pytest.mark.parametrize("place", [*EMBEDDED, *SERVERS], indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    name = request.param
    url = request.getfixturevalue(f"{name}_server").url if name in SERVERS else ""
    place = Place(name, tmp_path, url)
    yield place
    place.close()


class Visit:
    """One request, from its first look at the session to its response."""

    def __init__(self, store: Any, cookie: str | None) -> None:
        self.request = Request.blank("/", headers={"Cookie": f"session={cookie}"} if cookie else {})
        self.response = Response()
        self.session: Session = store.get(self.request, "session")

    def commit(self) -> str | None:
        """The new cookie, "" when it was deleted, None when nothing was sent."""
        self.session.save(self.response)
        sent = self.response.headers.getall("Set-Cookie")
        return sent[0].partition(";")[0].partition("=")[2] if sent else None


def visit(store: Any, cookie: str | None, act: Act = len) -> Session:
    """A whole request with this cookie."""
    one = Visit(store, cookie)
    act(one.session)
    one.commit()
    return one.session


def begun(store: Any, act: Act) -> str:
    """The cookie of a new session."""
    one = Visit(store, None)
    act(one.session)
    cookie = one.commit()
    assert cookie
    return cookie


def put(key: Any, value: Any = 1) -> Act:
    return lambda session: session.update({key: value})


# Processes


def fork(work: Callable[[], object], output: int | None = None) -> int:
    """Do this work in a forked process, which writes the result, pickled; the process's id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: there may be threads
        process = os.fork()
    if process:
        return process
    status = 1
    try:
        result = work()
        if output is not None:
            with os.fdopen(output, "wb") as file:
                pickle.dump(result, file)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def together(*works: Callable[[], Any]) -> list[Any]:
    """Do all this at the same moment, each in a process of its own; what they returned."""
    gate, opener = os.pipe()
    started: list[tuple[int, int]] = []
    for work in works:
        result, output = os.pipe()

        def wait_and_work(work: Callable[[], Any] = work) -> Any:
            os.close(opener)
            os.read(gate, 1)  # until the gate is opened
            return work()

        started.append((fork(wait_and_work, output), result))
        os.close(output)
    os.close(gate)
    os.close(opener)
    return [_result_of(process, result) for process, result in started]


def _result_of(process: int, result: int) -> Any:
    killer = threading.Timer(SECONDS, os.kill, (process, signal.SIGKILL))
    killer.start()
    try:
        with os.fdopen(result, "rb") as file:
            data = file.read()
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    finally:
        killer.cancel()
        killer.join()
    return pickle.loads(data)


def until_saved(store: Any, cookie: str, act: Act) -> int:
    """A request, sent again while too many others are in its way; how often it was refused."""
    refused = 0
    while True:
        try:
            visit(store, cookie, act)
            return refused
        except BackendError as error:
            assert "conflicts in a row" in str(error)
            refused += 1


# No change is lost


@everywhere
def test_no_write_is_lost(place: Place) -> None:
    """8 processes write 200 times each, every one its own keys: what was written is there next time."""
    store, keys = place.store(), 100 if place.name in EMBEDDED else 25
    cookie = begun(store, put("begun"))

    def write(number: int) -> int:
        def one(session: Session, n: int) -> None:
            assert n == 0 or session[f"{number}/{(n - 1) % keys}"] == n - 1
            session[f"{number}/{n % keys}"] = n

        return sum(until_saved(store, cookie, lambda session, n=n: one(session, n)) for n in range(200))

    refused = together(*[lambda number=number: write(number) for number in range(PROCESSES)])
    print(f"{place.name}: {sum(refused)} requests were refused and sent again")
    expected = {f"{number}/{n % keys}": n for number in range(PROCESSES) for n in range(200)}
    assert dict(visit(store, cookie)) == {"begun": 1, **expected}


@everywhere
def test_no_write_to_one_key_goes_unseen(place: Place) -> None:
    """Whoever adds to a counter by a policy of its own finds all that the others added."""
    store = place.store(conflict=lambda key, base, mine, theirs: (theirs or 0) + mine - (base or 0))
    cookie = begun(store, put("n", 0))

    def write() -> None:
        for _ in range(10):
            until_saved(store, cookie, lambda session: session.update(n=session["n"] + 1))

    together(*[write] * PROCESSES)
    assert visit(store, cookie)["n"] == 10 * PROCESSES


@everywhere
def test_no_flash_is_lost_and_none_comes_back(place: Place) -> None:
    """Each of those that 4 processes add is shown; twice only to two who read at the same moment."""
    store = place.store()
    cookie = begun(store, put("begun"))

    def add(number: int) -> list[Any]:
        for n in range(25):
            until_saved(store, cookie, lambda session, n=n: session.flash([number, n]))
        return []

    def read() -> list[Any]:
        """What was shown, and between which moments."""
        shown = []
        for _ in range(25):
            found: list[Any] = []
            began = time.monotonic()
            until_saved(store, cookie, lambda session, found=found: found.append(session.flashes()))
            shown += [(tuple(flash), began, time.monotonic()) for flash in found[-1]]
        return shown

    adders = [lambda number=number: add(number) for number in range(4)]
    shown = [each for result in together(*adders, read, read) for each in result]
    shown += [(tuple(flash), time.monotonic(), float("inf")) for flash in visit(store, cookie).peek_flashes()]
    assert {flash for flash, _, _ in shown} == {(number, n) for number in range(4) for n in range(25)}
    for flash, began, ended in shown:
        others = [each for each in shown if each[0] == flash and each[1:] != (began, ended)]
        assert all(other_began < ended and began < other_ended for _, other_began, other_ended in others)


# What ended stays ended


def racing_writers(store: Any, cookie: str) -> list[Callable[[], list[Any]]]:
    """200 requests in 8 processes: all have opened the session when the race begins.

    Each tells its key, whether its change was saved, and what it sent.
    """

    def write(number: int, visits: list[Visit]) -> list[Any]:
        told = []
        for n, one in enumerate(visits):
            key = f"{number}/{n}"
            one.session[key] = 1
            sent, refused = None, False
            try:
                sent = one.commit()
            except BackendError:
                refused = True
            told.append((key, one.session.handle is not None and not refused, sent))
        return told

    visits = [[Visit(store, cookie) for _ in range(25)] for _ in range(PROCESSES)]
    return [lambda number=n, mine=mine: write(number, mine) for n, mine in enumerate(visits)]


def in_the_midst(store: Any, cookie: str, act: Act, enough: int) -> Callable[[], str | None]:
    """A request that does this when so many writers have been there, or nobody came for a while."""

    def work() -> str | None:
        give_up = time.monotonic() + 2
        while len(Visit(store, cookie).session) < enough and time.monotonic() < give_up:
            time.sleep(0.001)
        for _ in range(100):
            one = Visit(store, cookie)
            act(one.session)
            try:
                return one.commit()
            except BackendError:  # too many in the way
                continue
        raise AssertionError("never let through")

    return work


@everywhere
def test_a_log_out_is_final(place: Place) -> None:
    """Against 200 racing writers: the session is never seen again, and none of them sends a cookie."""
    store = place.store()
    cookie = begun(store, lambda session: session.login("ada"))
    log_out = in_the_midst(store, cookie, lambda session: session.destroy(), 20)
    sent, *writers = together(log_out, *racing_writers(store, cookie))
    assert sent == ""
    told = [each for writer in writers for each in writer]
    assert len(told) == 200
    assert {sent for _, _, sent in told} == {None}
    session = visit(store, cookie)
    assert (session.is_new, len(session), session.principal) == (True, 0, None)
    if isinstance(store.backend, Lists):
        assert store.sessions_of("ada") == []


RENEWALS: dict[str, Act] = {
    "regenerate": lambda session: session.regenerate(),
    "login": lambda session: session.login("ada"),
    "login of another": lambda session: session.login("bob"),
}


@pytest.mark.parametrize(
    ("how", "place"),
    [(how, place) for how in RENEWALS for place in (*EMBEDDED, "redis")]
    + [("login", name) for name in SERVERS[1:]],
    indirect=["place"],
)
def test_a_renewed_session_has_what_was_saved_before(place: Place, how: str) -> None:
    """Against 200 racing writers: each of them is in the new session, or is dropped; none sends a cookie."""
    store = place.store()
    cookie = begun(store, lambda session: session.login("ada"))
    renew = in_the_midst(store, cookie, RENEWALS[how], 20)
    sent, *writers = together(renew, *racing_writers(store, cookie))
    told = [each for writer in writers for each in writer]
    assert {sent for _, _, sent in told} == {None}
    assert visit(store, cookie).is_new
    assert sent
    session = visit(store, sent)
    saved = {key for key, was_saved, _ in told if was_saved}
    # A writer that was saved under somebody's old principal is not seen by the next one.
    assert session.keys() == (set() if how == "login of another" else saved)
    assert session.principal == ("bob" if how == "login of another" else "ada")
    if isinstance(store.backend, Lists):
        listed = [info.handle for name in ("ada", "bob") for info in store.sessions_of(name)]
        assert session.handle in listed


@everywhere
def test_of_many_who_renew_a_session_one_does(place: Place) -> None:
    """However many processes regenerate it at once, one id lives."""
    store = place.store()
    cookie = begun(store, put("a"))
    visits = [Visit(store, cookie) for _ in range(PROCESSES)]

    def renew(one: Visit) -> str | None:
        one.session.regenerate()
        return one.commit()

    sent = together(*[lambda one=one: renew(one) for one in visits])
    (new,) = [text for text in sent if text]
    assert [text for text in sent if not text] == [None] * (PROCESSES - 1)
    assert dict(visit(store, new)) == {"a": 1}
    assert visit(store, cookie).is_new


@everywhere
def test_nobody_survives_a_revocation(place: Place) -> None:
    """While 4 processes sign in and out, write and regenerate: who was in before it is out after it."""
    store = place.store(audience=secrets.token_hex(8))
    kept = begun(store, lambda session: session.login("ada"))
    old = [begun(store, lambda session: session.login("ada")) for _ in range(4)]

    def work(cookie: str) -> list[str]:
        mine = [cookie]
        for n in range(25):
            one = Visit(store, mine[-1])
            one.session.login("ada") if n % 5 == 4 and one.session.principal else one.session.update(n=n)
            mine.append(one.commit() or mine[-1])
            if one.session.principal is None:
                break
        return mine

    def revoke() -> float:
        time.sleep(0.01)
        store.revoke("ada", keep=Visit(store, kept).session)
        return time.time()

    _, *cookies = together(revoke, *[lambda cookie=cookie: work(cookie) for cookie in old])
    assert visit(store, kept).principal == "ada"
    for before, (cookie, *_) in zip(old, cookies, strict=True):
        assert visit(store, before).principal is None
        assert visit(store, cookie).principal is None
    store.revoke("ada")
    assert {visit(store, cookie).principal for mine in [[kept], *cookies] for cookie in mine} == {None}


# Whoever is killed leaves nothing behind


def _proof(n: int) -> bytes:
    return sha256(str(n).encode()).digest() * 200


@everywhere
def test_whoever_is_killed_leaves_every_session_whole(place: Place) -> None:
    """100 writers, killed at any moment: nothing torn, nothing locked. Fewer where a server writes."""
    store = place.store()
    shared = begun(store, put("kept", _proof(0)))
    mine = [begun(store, put("a", (0, _proof(0)))) for _ in range(4)]
    chance = random.Random(1)  # the same moments in every run

    def for_ever(number: int) -> None:
        n = 0
        while True:
            n += 1
            visit(store, mine[number], put("a", (n, _proof(n))))
            with contextlib.suppress(BackendError):
                visit(store, shared, put(number, (n, _proof(n))))

    for round_ in range(25 if place.name in EMBEDDED else 6):
        writers = [fork(lambda number=number: for_ever(number)) for number in range(4)]
        for writer in writers:
            time.sleep(chance.uniform(0, 0.012))
            os.kill(writer, signal.SIGKILL)
        for writer in writers:
            assert os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) == -signal.SIGKILL
        began = time.monotonic()
        for cookie in mine:
            n, proof = visit(store, cookie)["a"]
            assert proof == _proof(n)
        until_saved(store, shared, put("round", round_))
        session = visit(store, shared)
        assert (session["kept"], session["round"]) == (_proof(0), round_)
        assert all(session[n][1] == _proof(session[n][0]) for n in range(4) if n in session)
        assert time.monotonic() - began < SLACK + TIMEOUT


# Clocks


@everywhere
@pytest.mark.parametrize("ahead", [50.0, -50.0])
def test_clocks_that_differ_log_nobody_out(place: Place, ahead: float) -> None:
    """Two machines whose clocks are 50 seconds apart: what one of them stores, the other one reads."""
    now, lifetime = time.time(), Lifetime(absolute=3600, idle=900)
    moment = [now]
    here = place.store(clock=lambda: moment[0], lifetime=lifetime, audience=str(ahead))
    there = place.store(clock=lambda: moment[0] + ahead, lifetime=lifetime, audience=str(ahead))
    cookie = begun(here, lambda session: session.login("ada"))
    for n in range(12):  # touched and written by turns
        for store in (here, there):
            moment[0] = now + 120 * n
            session = visit(store, cookie, put("n", n) if n % 3 else len)
            assert (session.is_new, session.principal) == (False, "ada")
    again = Visit(there, cookie)
    again.session.login("ada")
    cookie = again.commit() or ""
    assert visit(here, cookie).principal == "ada"
    assert visit(there, cookie).principal == "ada"


@everywhere
@pytest.mark.parametrize("ahead", [50.0, -50.0])
def test_clocks_that_differ_let_nobody_survive(place: Place, ahead: float) -> None:
    """Revoked, ended or renewed on one machine is so on the other at once, and for as long as it matters."""
    now, lifetime = time.time(), Lifetime(absolute=600)
    moment = [now]
    audience = f"survive{ahead}"
    here = place.store(clock=lambda: moment[0], lifetime=lifetime, audience=audience)
    there = place.store(clock=lambda: moment[0] + ahead, lifetime=lifetime, audience=audience)
    revoked, kept, renewed, ended = [begun(there, lambda session: session.login("ada")) for _ in range(4)]
    visit(here, ended, lambda session: session.destroy())
    visit(here, renewed, lambda session: session.regenerate())
    here.revoke("ada", keep=Visit(here, kept).session)
    for seconds in (0, 30, 90, 300, 500):
        moment[0] = now + seconds
        for store in (there, here):
            for cookie in (revoked, renewed, ended):
                assert Visit(store, cookie).session.is_new
            assert visit(store, kept).principal == "ada"
    late = Visit(there, renewed)
    late.session["a"] = 1
    moment[0] = now + 5
    late = Visit(there, renewed)
    late.session["a"] = 1
    assert late.commit() is None  # the newer cookie is safe


@pytest.mark.parametrize("place", ["file", "sqlite", "redis", "postgresql"], indirect=True)
@pytest.mark.parametrize("ahead", [50.0, -50.0])
def test_clocks_that_differ_revive_no_copy_of_a_cookie(place: Place, ahead: float) -> None:
    """To the last second of its life, what was ended on one machine stays so on the other."""
    now, lifetime = time.time(), Lifetime(absolute=600)
    moment = [now]

    def make(clock: Clock) -> CookieStore:
        options: Any = {"clock": clock, "lifetime": lifetime, "audience": f"copies{ahead}"}
        return CookieStore(KEY, revocations=place.backend(clock), **options)

    here, there = make(lambda: moment[0]), make(lambda: moment[0] + ahead)
    destroyed, revoked, kept = [begun(there, lambda session: session.login("ada")) for _ in range(3)]
    for cookie in (destroyed, revoked, kept):
        assert visit(here, cookie).principal == "ada"
    visit(here, destroyed, lambda session: session.destroy())
    here.revoke("ada", keep=Visit(here, kept).session)
    for seconds in range(0, 720, 10):
        moment[0] = now + seconds
        for store in (here, there):
            assert [Visit(store, cookie).session.is_new for cookie in (destroyed, revoked)] == [True, True]
            # By the later clock it may be over; by neither it is before.
            if seconds < 600 - 60:
                assert Visit(store, kept).session.principal == "ada"


# What a thief of the storage has


class Wiretap:
    """Remembers all that a backend is given, as whoever has the storage could."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.heard: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._backend, name)
        if not callable(method):
            return method

        def call(*args: Any) -> Any:
            for arg in args:
                parts = arg if isinstance(arg, tuple) else (arg,)
                self.heard += [part if isinstance(part, bytes) else str(part).encode() for part in parts]
            return method(*args)

        return call


class ListingWiretap(Wiretap):
    """The same of a backend that lists; that is looked for on the class."""

    def link(self, owner: str, entry: Any) -> None:
        self.__getattr__("link")(owner, entry)

    def unlink(self, owner: str, key: str) -> None:
        self.__getattr__("unlink")(owner, key)

    def linked(self, owner: str) -> Any:
        return self.__getattr__("linked")(owner)


def tapped(backend: Any) -> Wiretap:
    return ListingWiretap(backend) if isinstance(backend, Lists) else Wiretap(backend)


VALUES = {"a-secret-key": "a-secret-value", "bytes": b"\x01secret-bytes", 4242424242: 2424242424242}
SECRETS = [b"a-secret-key", b"a-secret-value", b"secret-bytes", b"a-secret-flash", b"secret-category"]


def _busy(store: Any) -> tuple[list[str], list[bytes]]:
    """The cookies of sessions that did all that one can do, and what nobody may find."""
    cookies, hidden = [], list(SECRETS)
    for _ in range(3):
        cookie = begun(store, lambda session: session.update(VALUES))
        one = Visit(store, cookie)
        one.session.login("ada-lovelace")
        one.session.flash("a-secret-flash", "secret-category")
        cookies += [cookie, one.commit() or ""]
        visit(store, cookies[-1], lambda session: session.update(more="a-secret-value"))
        hidden.append(visit(store, cookies[-1], lambda session: session.csrf_token()).extras["csrf"].encode())
        hidden.append(b"ada-lovelace")
    store.revoke("ada-lovelace", keep=Visit(store, cookies[-1]).session)
    visit(store, cookies[1], lambda session: session.destroy())
    return cookies, hidden


def _raw(place: Place) -> bytes:
    """All bytes of all files, names included."""
    content = []
    for path in sorted(place.path.rglob("*")):
        content.append(path.name.encode())
        if path.is_file():
            content.append(path.read_bytes())
    return b"\n".join(content)


def _forms_of_an_id(store: ServerStore, cookie: str) -> list[bytes]:
    """The id as it could be written."""
    raw_id = store._ids.open("session", cookie)
    payload, _, signature = cookie.partition(".")
    return [raw_id, raw_id.hex().encode(), payload.encode(), signature.encode(), cookie.encode()]


@everywhere
@pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "encrypted"])
def test_a_stolen_dump_holds_no_id(place: Place, encrypt: bool) -> None:
    """Of any session, alive or ended; nor any data when it is sealed. In none of the files either."""
    store = ServerStore(tapped(place.backend()), KEY, encrypt=encrypt)
    cookies, data = _busy(store)
    heard = b"\n".join(store.backend.heard)  # type: ignore[attr-defined]
    raw = _raw(place)
    assert (b"a-secret-value" in heard) != encrypt
    hidden = [form for cookie in cookies for form in _forms_of_an_id(store, cookie)]
    for text in hidden + (data if encrypt else []):
        assert text not in heard
        assert text not in raw
    for cookie in cookies[::2]:  # whoever has the keys of the records has no cookie
        assert sha256(cookie.encode()).hexdigest().encode() not in heard


@pytest.mark.parametrize("place", EMBEDDED, indirect=True)
def test_what_is_not_sealed_can_be_read(place: Place) -> None:
    """So the test above looks in the right place."""
    _busy(place.store())
    assert b"a-secret-value" in _raw(place)


def test_a_dump_of_revocations_holds_no_id(tmp_path: Path) -> None:
    """Of cookie sessions a backend knows neither ids nor data nor who they are."""
    place = Place("file", tmp_path, "")
    tap = tapped(place.backend())
    store = CookieStore(KEY, encrypt=True, revocations=tap)
    cookies, data = _busy(store)
    ids = [store._codec.open("session", cookie) for cookie in cookies]
    heard = b"\n".join(tap.heard) + _raw(place)
    for text in [*data, *(cookie.encode() for cookie in cookies), *ids]:
        assert text not in heard


# A server that goes away


def make_application(place: Place, **options: Any) -> Any:
    """Counts at /count, does nothing at other paths."""
    store = place.store(**options)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        body = b"untouched"
        if environ["PATH_INFO"] == "/count":
            session = get_session(environ)
            session["n"] = session.get("n", 0) + 1
            body = b"%d" % session["n"]
        start_response("200 OK", [])
        return [body]

    return SessionMiddleware(app, store)


def ask(app: Any, path: str, cookie: str | None = None) -> tuple[str, bytes, str | None]:
    """Status, body and new cookie of a request."""
    found: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        sent = [value for name, value in headers if name == "Set-Cookie"]
        found[:] = [status, sent[0].partition(";")[0].partition("=")[2] if sent else None]

    environ = Request.blank(path, headers={"Cookie": f"session={cookie}"} if cookie else {}).environ
    body = app(environ, start_response)
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return found[0], content, found[1]


@pytest.mark.parametrize("place", SERVERS, indirect=True)
def test_a_server_that_stops_in_mid_traffic(place: Place, request: pytest.FixtureRequest) -> None:
    """503 in time for who needs a session, nothing for who does not; all is well when it is back."""
    server, app = request.getfixturevalue(f"{place.name}_server"), make_application(place)
    _, _, cookie = ask(app, "/count")
    told: list[tuple[str, str, float]] = []
    stop = threading.Event()

    def traffic(path: str) -> None:
        while not stop.is_set():
            began = time.monotonic()
            status, _, _ = ask(app, path, cookie)
            told.append((path, status, time.monotonic() - began))
            time.sleep(0.005)

    threads = [threading.Thread(target=traffic, args=(path,)) for path in ["/count", "/count", "/other"]]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.1)
        server.kill()
        time.sleep(0.3)
        while_down = ask(app, "/count", cookie)[0], ask(app, "/count")[0], ask(app, "/other", cookie)[0]
        server.start()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [status[:3] for status in while_down] == ["503", "503", "200"]
    assert {status[:3] for path, status, _ in told if path == "/other"} == {"200"}
    assert {status[:3] for path, status, _ in told if path == "/count"} == {"200", "503"}
    assert max(seconds for _, _, seconds in told) < TIMEOUT + SLACK
    status, body, new = ask(app, "/count")
    assert (status, body) == ("200 OK", b"1")
    assert ask(app, "/count", new)[:2] == ("200 OK", b"2")


# Removing what expired


@pytest.mark.parametrize("place", [*EMBEDDED, "postgresql", "mariadb"], indirect=True)
def test_a_purge_disturbs_nobody(place: Place) -> None:
    """In batches, each of which is told; readers and writers go on, and what lives stays."""
    now, place.table = time.time(), "purged"
    old, store = place.backend(lambda: now - 1000), place.store()
    live = begun(store, put("n", 0))
    expired = 1500
    for _ in range(expired):
        old.create(secrets.token_hex(32), b"x" * 200, now - 500)
    slowest, rounds, stop = [0.0], [0], threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            began = time.monotonic()
            visit(store, live, put("n", rounds[0]))
            slowest[0] = max(slowest[0], time.monotonic() - began)
            rounds[0] += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    told: list[int] = []
    try:
        removed = place.store().purge(progress=told.append)
    finally:
        stop.set()
        thread.join()
    assert removed == told[-1] == expired
    assert all(
        0 < later - earlier <= 500
        for earlier, later in zip([0, *told], told, strict=False)
        if later < expired
    )
    assert len(told) > 3
    assert rounds[0] > 0
    assert slowest[0] < SLACK
    assert visit(store, live)["n"] == rounds[0] - 1
    assert store.purge() == 0


@pytest.mark.parametrize("place", EMBEDDED, indirect=True)
def test_purges_at_once_remove_each_once(place: Place) -> None:
    """Cron jobs of several machines, or a sweep beside one."""
    now = time.time()
    old = place.backend(lambda: now - 1000)
    for _ in range(300):
        old.create(secrets.token_hex(32), b"", now - 500)
    store = place.store()
    assert sum(together(*[store.purge] * 3)) == 300


@pytest.mark.parametrize("place", EMBEDDED, indirect=True)
def test_a_purge_against_writers_removes_nobody_who_lives(place: Place) -> None:
    """A session that is touched or written at the very moment at which it would have expired."""
    store = place.store(lifetime=Lifetime(idle=900))
    cookies = [begun(store, put("a")) for _ in range(20)]

    def keep() -> int:
        return sum(until_saved(store, cookie, put("n", n)) for n in range(5) for cookie in cookies)

    def purge() -> int:
        return sum(store.purge() for _ in range(20))

    assert together(keep, purge, purge)[1:] == [0, 0]
    assert all(visit(store, cookie)["n"] == 4 for cookie in cookies)


# Servers of applications that fork


def preloaded() -> Any:
    """What gunicorn imports, once, before it forks: a store that is used at once, with a connection open."""
    store = store_from_url(os.environ["RACES_URL"], KEY)
    visit(store, begun(store, put("warm")))

    def app(environ: Any, start_response: Any) -> list[bytes]:
        session = get_session(environ)
        session["n"] = session.get("n", 0) + 1
        body = f"{session['n']} {os.getpid()}".encode()
        time.sleep(0.01)  # while one worker is busy, the other one gets the next request
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return SessionMiddleware(app, store)


@contextlib.contextmanager
def gunicorn(url: str) -> Iterator[int]:
    """A master that has loaded the application and two workers; stopped by its id."""
    config = pytest.importorskip("gunicorn.config")
    package = os.path.dirname(os.path.dirname(sys.modules["sessions_wsgi"].__file__ or ""))
    path = os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), package])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--graceful-timeout", "1"]
        command += ["--bind", f"fd://{listener.fileno()}"]
        if any("--no-control-socket" in (setting.cli or ()) for setting in config.KNOWN_SETTINGS):
            command.append("--no-control-socket")  # newer ones put one into the home directory
        child = subprocess.Popen(
            [*command, f"{MODULE}:preloaded()"],
            env={**os.environ, "PYTHONPATH": path, "RACES_URL": url},
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            yield listener.getsockname()[1]
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                _, errors = child.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                _, errors = child.communicate()
            assert b"Traceback" not in errors, errors.decode()


def get(port: int, cookie: str | None) -> tuple[int, bytes, str | None]:
    """Status, body and new cookie of a request over a socket."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("GET", "/", headers={"Cookie": f"session={cookie}"} if cookie else {})
        with connection.getresponse() as response:
            sent = response.headers.get("Set-Cookie")
            return (
                response.status,
                response.read(),
                sent.partition(";")[0].partition("=")[2] if sent else None,
            )
    finally:
        connection.close()


@everywhere
def test_forked_workers_share_no_connection(place: Place) -> None:
    """`gunicorn --preload`: several visitors count at once, and each counts right."""
    urls = {"file": f"file://{place.path}/sessions", "sqlite": f"sqlite:///{place.path}/sessions.db"}
    found: list[list[tuple[int, int]]] = []

    def count(port: int) -> None:
        cookie, numbers = None, []
        for _ in range(15):
            status, body, new = get(port, cookie)
            cookie = new or cookie
            assert status == 200, body
            numbers.append((int(body.split()[0]), int(body.split()[1])))
        found.append(numbers)

    with gunicorn(urls.get(place.name, place.url)) as port:
        get(port, None)  # waits until it answers
        threads = [threading.Thread(target=count, args=(port,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [[n for n, _ in numbers] for numbers in found] == [list(range(1, 16))] * 4
    assert len({process for numbers in found for _, process in numbers}) == 2


def test_nothing_is_left_of_sqlite_s_locks(tmp_path: Path) -> None:
    """After processes that were killed while they wrote, anybody may write at once."""
    place = Place("sqlite", tmp_path, "")
    store = place.store()
    cookie = begun(store, put("a"))

    def for_ever() -> None:
        while True:
            visit(store, cookie, put("n", secrets.token_hex(2000)))

    for _ in range(3):
        writer = fork(for_ever)
        time.sleep(0.02)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    with contextlib.closing(sqlite3.connect(tmp_path / "sessions.db", timeout=0)) as connection, connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.execute("UPDATE records SET expires = expires")
    place.close()
