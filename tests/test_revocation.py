"""Who is signed in where: log out everywhere, the list of devices, the end of one of them; on every store."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from webob import Request, Response

from sessions_wsgi import (
    BackendError,
    ConfigError,
    CookieStore,
    FileStore,
    JSONSerializer,
    Lifetime,
    MemoryStore,
    ServerStore,
    Session,
    SessionSealedError,
    SQLiteStore,
    UsageError,
    get_session,
)
from sessions_wsgi.backends import Lists, Record
from sessions_wsgi.backends.file import FileBackend
from sessions_wsgi.backends.memcached import MemcachedBackend
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.backends.redis import RedisBackend
from sessions_wsgi.backends.sql import SQLBackend
from sessions_wsgi.backends.sqlite import SQLiteBackend
from sessions_wsgi.testing import ManualClock

KEY = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

Act = Callable[[Session], object]
Store = CookieStore | ServerStore


def nothing(session: Session) -> None:
    """Only look."""


def put(**values: Any) -> Act:
    return lambda session: session.update(values)


def login(principal: str = "ada", label: str | None = None) -> Act:
    def act(session: Session) -> None:
        session.login(principal)
        session.label = label

    return act


# Stores


class Scripted(MemoryBackend):
    """Writes down what is asked of it, lets somebody else act just before it does, and forgets on demand."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(max_bytes=None, clock=clock)
        #: One for each round trip.
        self.calls: list[str] = []
        #: Called once, before the next call that is so named.
        self.before: dict[str, Callable[[], object]] = {}
        #: Data of records, as made, by key; owners of lists.
        self.made: dict[str, bytes] = {}
        self.owners: set[str] = set()

    def load(self, key: str) -> Record | None:
        self._called("load")
        return super().load(key)

    def create(self, key: str, data: bytes, expires: float) -> Any:
        self._called("create")
        self.made[key] = data
        return super().create(key, data, expires)

    def update(self, key: str, data: bytes, expires: float, version: Any) -> Any:
        self._called("update")
        return super().update(key, data, expires, version)

    def touch(self, key: str, expires: float, version: Any) -> bool:
        self._called("touch")
        return super().touch(key, expires, version)

    def delete(self, key: str) -> bool:
        self._called("delete")
        return super().delete(key)

    def link(self, owner: str, entry: Any) -> None:
        self._called("link")
        self.owners.add(owner)
        super().link(owner, entry)

    def unlink(self, owner: str, key: str) -> None:
        self._called("unlink")
        super().unlink(owner, key)

    def linked(self, owner: str) -> list[Any]:
        self._called("linked")
        return super().linked(owner)

    def entries(self) -> list[Any]:
        """All that is on any list."""
        return [entry for owner in self.owners for entry in super(Scripted, self).linked(owner)]

    def forget_epochs(self) -> None:
        """Lose what tells who was revoked, as a cache may."""
        for key, data in self.made.items():
            if len(data) == 32 and not data.startswith(b"replaced"):
                super().delete(key)

    def _called(self, verb: str) -> None:
        self.calls.append(verb)
        self.before.pop(verb, lambda: None)()


def on_server(backend: Any, **options: Any) -> Store:
    return ServerStore(backend, KEY, **options)


def in_cookies(backend: Any, **options: Any) -> Store:
    return CookieStore(KEY, revocations=backend, **options)


class Kind(NamedTuple):
    """A kind of store, and where its backend is."""

    place: str
    make: Callable[..., Store]


KINDS = {
    "memory": Kind("memory", on_server),
    "file": Kind("file", on_server),
    "sqlite": Kind("sqlite", on_server),
    "encrypted": Kind("memory", partial(on_server, encrypt=True)),
    "json": Kind("scripted", partial(on_server, serializer=JSONSerializer())),
    "redis": Kind("redis", on_server),
    "postgresql": Kind("postgresql", on_server),
    "mariadb": Kind("mariadb", on_server),
    "memcached": Kind("memcached", on_server),
    "cookie": Kind("scripted", in_cookies),
    "encrypted cookie": Kind("scripted", partial(in_cookies, encrypt=True)),
    "json cookie": Kind("scripted", partial(in_cookies, serializer=JSONSerializer())),
    "cookie on files": Kind("file", in_cookies),
    "cookie on sqlite": Kind("sqlite", in_cookies),
    "cookie on redis": Kind("redis", in_cookies),
    "cookie on postgresql": Kind("postgresql", partial(in_cookies, encrypt=True)),
}
LISTING = [name for name, kind in KINDS.items() if kind.place != "memcached"]
COOKIES = [name for name in KINDS if "cookie" in name]
SERVERS = [name for name in KINDS if "cookie" not in name]
# One of each way in which a store works; what does not depend on the backend is tested on these.
WAYS = ["file", "json", "encrypted", "cookie", "encrypted cookie", "json cookie", "cookie on sqlite"]
SCRIPTED = [name for name, kind in KINDS.items() if kind.place == "scripted"]

every = pytest.mark.parametrize("kind", KINDS, indirect=True)
listing = pytest.mark.parametrize("kind", LISTING, indirect=True)
cookies = pytest.mark.parametrize("kind", COOKIES, indirect=True)
servers = pytest.mark.parametrize("kind", SERVERS, indirect=True)
ways = pytest.mark.parametrize("kind", WAYS, indirect=True)
scripted = pytest.mark.parametrize("kind", SCRIPTED, indirect=True)

PLACES: dict[str, Callable[..., Any]] = {
    "memory": lambda clock, path, url: MemoryBackend(clock=clock),
    "scripted": lambda clock, path, url: Scripted(clock),
    "file": lambda clock, path, url: FileBackend(path / "sessions", clock=clock),
    "sqlite": lambda clock, path, url: SQLiteBackend(path / "sessions.db", clock=clock),
    "redis": lambda clock, path, url: RedisBackend(url()),
    "postgresql": lambda clock, path, url: SQLBackend(url(), clock=clock),
    "mariadb": lambda clock, path, url: SQLBackend(url(), clock=clock),
    "memcached": lambda clock, path, url: MemcachedBackend(url(), clock=clock),
}


class Device:
    """A browser, which keeps the cookie of its session."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cookie: str | None = None

    def open(self) -> Visit:
        """A request that has come, and looked at its session."""
        return Visit(self)

    def do(self, act: Act = nothing) -> Session:
        """A whole request; the session after it."""
        visit = self.open()
        act(visit.session)
        visit.commit()
        return visit.session

    @property
    def who(self) -> str | None:
        """Who is signed in, as the next request sees it."""
        return self.do().principal

    def copy(self) -> Device:
        """Somebody with the same cookie."""
        other = Device(self.store)
        other.cookie = self.cookie
        return other


class Visit:
    """One request of a device, from its first look at the session to its response."""

    def __init__(self, device: Device) -> None:
        self.device = device
        headers = {"Cookie": f"session={device.cookie}"} if device.cookie else {}
        self.request, self.response = Request.blank("/", headers=headers), Response()
        self.session = device.store.get(self.request, "session")

    def commit(self) -> str | None:
        """The new cookie, "" when it was deleted, None when nothing was sent."""
        self.session.save(self.response)
        sent = self.response.headers.getall("Set-Cookie")
        assert len(sent) <= 1
        if not sent:
            return None
        text = sent[0].partition(";")[0].partition("=")[2]
        self.device.cookie = text or None
        return text


class Site:
    """Stores of one kind on one backend."""

    def __init__(self, kind: Kind, backend: Any, clock: ManualClock, audience: str) -> None:
        self.kind, self.backend, self.clock, self.audience = kind, backend, clock, audience
        self.default = self.store()

    def store(self, *, audience: str | None = None, **options: Any) -> Store:
        """A store; those of one audience know each other's principals."""
        audience = self.audience if audience is None else audience
        return self.kind.make(self.backend, clock=self.clock, audience=audience, **options)

    def device(self, act: Act = nothing, store: Store | None = None) -> Device:
        """A device after its first request."""
        device = Device(store or self.default)
        device.do(act)
        return device


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(float(int(time.time())))  # servers know no other time


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def site(request: pytest.FixtureRequest, kind: Kind, clock: ManualClock, tmp_path: Path) -> Iterator[Site]:
    def url() -> str:
        return request.getfixturevalue(f"{kind.place}_server").url

    backend = PLACES[kind.place](clock, tmp_path, url)
    with closing(backend) if hasattr(backend, "close") else nullcontext():
        yield Site(kind, backend, clock, request.node.name)  # other tests use the same servers


@pytest.fixture
def script(clock: ManualClock) -> Scripted:
    return Scripted(clock)


# Log out everywhere


@every
def test_a_revocation_counts_at_the_next_request(site: Site) -> None:
    """All of a principal's sessions are over, nobody else's."""
    devices = [site.device(login("ada")) for _ in range(3)]
    bob, nobody = site.device(login("bob")), site.device(put(a=1))
    site.default.revoke("ada")
    for device in devices:
        session = device.open().session
        assert (session.is_new, session.rejected, session.principal) == (True, "revoked", None)
    assert bob.who == "bob"
    assert dict(nobody.do()) == {"a": 1}


@ways
def test_nothing_of_a_revoked_session_is_seen_again(site: Site) -> None:
    """Who was signed in may begin a new session, which is empty, and sign in anew."""
    device = site.device(login("ada"))
    device.do(lambda session: (session.update(secret=1), session.flash("x")))
    site.default.revoke("ada")
    session = device.do(put(a=1))
    assert (dict(session), session.flashes(), session.principal) == ({"a": 1}, [], None)
    device.do(login("ada"))
    assert dict(device.do()) == {"a": 1}
    assert device.who == "ada"


@ways
def test_a_revoked_cookie_stays_revoked(site: Site) -> None:
    """Also when the same principal has signed in again, and when there was another revocation."""
    device = site.device(login("ada"))
    old = device.copy()
    site.default.revoke("ada")
    device.do(login("ada"))
    assert old.open().session.rejected == "revoked"
    site.default.revoke("ada")
    site.device(login("ada"))
    assert old.open().session.rejected == "revoked"


@ways
def test_to_revoke_somebody_without_sessions_is_no_error(site: Site) -> None:
    site.default.revoke("ada")
    device = site.device(login("ada"))
    assert device.who == "ada"


@every
def test_another_process_sees_it_too(site: Site) -> None:
    """What counts is in the backend: a store made later, or for another session name, knows as much."""
    device = site.device(login("ada"))
    site.store().revoke("ada")
    assert device.who is None
    device.store = site.store()
    assert device.do(login("ada")).principal == "ada"
    assert device.who == "ada"


@ways
@pytest.mark.parametrize("principal", ["", None, 5, b"ada"])
def test_a_principal_is_a_text(site: Site, principal: Any) -> None:
    with pytest.raises(UsageError, match="'principal'"):
        site.default.revoke(principal)


@ways
def test_principals_that_look_alike_are_different(site: Site) -> None:
    devices = {name: site.device(login(name)) for name in ("ada", "Ada", "ada ", " ada", "ädä")}
    site.default.revoke("ada")
    assert [name for name, device in devices.items() if device.who is None] == ["ada"]


def test_the_embedded_stores_revoke(tmp_path: Path) -> None:
    """By themselves, without a backend of one's own."""
    for store in (MemoryStore(KEY), FileStore(tmp_path / "files", KEY), SQLiteStore(tmp_path / "db", KEY)):
        one, other = Device(store), Device(store)
        for device in (one, other):
            device.do(login("ada"))
        assert len(store.sessions_of("ada")) == 2
        store.revoke("ada", keep=one.open().session)
        assert (one.who, other.who) == ("ada", None)
        assert [info.handle for info in store.sessions_of("ada")] == [one.open().session.handle]


def test_a_server_store_may_revoke_on_a_backend_that_evicts(clock: ManualClock) -> None:
    """What it forgets logs people out, and nobody in."""
    store = MemoryStore(KEY, clock=clock)
    device = Device(store)
    device.do(login("ada"))
    store.revoke("ada")
    assert device.who is None


# All but this one

KEEPERS: dict[str, tuple[Act, Act]] = {
    "as it is": (nothing, nothing),
    "written before": (put(a=1), nothing),
    "written after": (nothing, put(a=1)),
    "signed in before": (login("ada"), nothing),
    "signed in after": (nothing, login("ada")),
    "regenerated before": (lambda session: session.regenerate(), nothing),
    "regenerated after": (nothing, lambda session: session.regenerate()),
}


@every
@pytest.mark.parametrize("how", KEEPERS)
def test_the_kept_session_survives(site: Site, how: str) -> None:
    """Also when it is renewed in the same request, as after a change of password."""
    kept, others = site.device(login("ada")), [site.device(login("ada")) for _ in range(2)]
    kept.do(put(b=2))
    before, after = KEEPERS[how]
    visit = kept.open()
    before(visit.session)
    site.default.revoke("ada", keep=visit.session)
    after(visit.session)
    visit.commit()
    for _ in range(2):
        assert kept.who == "ada"
    assert kept.do()["b"] == 2
    assert [other.who for other in others] == [None, None]


@ways
@pytest.mark.parametrize("how", KEEPERS)
def test_a_second_revocation_ends_the_kept_session(site: Site, how: str) -> None:
    kept = site.device(login("ada"))
    before, after = KEEPERS[how]
    visit = kept.open()
    before(visit.session)
    site.default.revoke("ada", keep=visit.session)
    after(visit.session)
    visit.commit()
    old = kept.copy()
    assert kept.who == "ada"
    site.default.revoke("ada")
    assert [device.do().rejected for device in (kept, old)] == ["revoked", "revoked"]


@every
def test_the_kept_session_survives_before_it_was_saved(site: Site) -> None:
    """The others are out at once, it is not, whether its request ever ends or not."""
    kept, other = site.device(login("ada")), site.device(login("ada"))
    visit = kept.open()
    site.default.revoke("ada", keep=visit.session)
    assert [device.who for device in (other, kept, kept)] == [None, "ada", "ada"]
    site.clock.advance(HOUR)
    assert kept.who == "ada"


@ways
def test_who_was_kept_and_never_saved_goes_with_the_next_revocation(site: Site) -> None:
    one, other = site.device(login("ada")), site.device(login("ada"))
    site.default.revoke("ada", keep=one.open().session)
    other.do(login("ada"))
    site.default.revoke("ada", keep=other.open().session)
    assert [device.who for device in (one, other)] == [None, "ada"]


@every
def test_a_new_session_can_be_kept(site: Site) -> None:
    """Signing in with "log out everywhere else" is one request."""
    other, kept = site.device(login("ada")), Device(site.default)
    visit = kept.open()
    visit.session.login("ada")
    site.default.revoke("ada", keep=visit.session)
    visit.commit()
    assert [device.who for device in (other, kept)] == [None, "ada"]


@ways
@pytest.mark.parametrize("late", [False, True], ids=["before the revocation", "after the revocation"])
@pytest.mark.parametrize("commits", ["before", "after"])
@pytest.mark.parametrize("renewed", [False, True], ids=["kept", "renewed"])
def test_a_parallel_request_of_the_kept_session(site: Site, late: bool, commits: str, renewed: bool) -> None:
    """It disturbs nothing, whenever it opened the session and whenever it saves."""
    kept, other = site.device(login("ada")), site.device(login("ada"))
    visit, twin = kept.open(), kept.copy()
    parallel = None if late else twin.open()
    if renewed:
        visit.session.login("ada")
    site.default.revoke("ada", keep=visit.session)
    parallel = parallel or twin.open()
    assert parallel.session.principal == "ada"
    parallel.session["b"] = 2
    steps = [parallel.commit, visit.commit]
    for step in steps if commits == "before" else reversed(steps):
        step()
    assert [kept.who, other.who] == ["ada", None]
    if not renewed:
        assert twin.who == "ada"
    if isinstance(site.default, ServerStore) and not (renewed and commits == "after"):
        assert dict(kept.do()) == {"b": 2}


@ways
def test_a_parallel_request_does_not_save_the_kept_session_from_the_next_revocation(site: Site) -> None:
    kept = site.device(login("ada"))
    visit = kept.open()
    site.default.revoke("ada", keep=visit.session)
    parallel = kept.copy()
    parallel.do(put(b=2))
    site.default.revoke("ada")
    visit.commit()
    assert [device.who for device in (kept, parallel)] == [None, None]


@ways
def test_only_a_session_of_the_principal_can_be_kept(site: Site) -> None:
    """What is refused logs nobody out."""
    ada, bob, nobody = site.device(login("ada")), site.device(login("bob")), site.device(put(a=1))
    for device in (bob, nobody):
        with pytest.raises(UsageError, match="'keep'"):
            site.default.revoke("ada", keep=device.open().session)
    assert (ada.who, bob.who) == ("ada", "bob")


@cookies
def test_a_session_that_cannot_be_saved_any_more_is_refused(site: Site, plain: Callable[..., Any]) -> None:
    """A cookie session in the body of a stream: nobody is logged out."""
    caught: list[type] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        session = get_session(environ)
        if not session.principal:
            session.login("ada")
        start_response("200 OK", [])
        yield b"first"
        if environ["PATH_INFO"] == "/revoke":
            try:
                site.default.revoke("ada", keep=session)
            except SessionSealedError as error:
                caught.append(type(error))
        yield str(session.principal).encode()

    visitor, other = plain(app, site.default), site.device(login("ada"))
    visitor.get()
    visitor.get("/revoke")
    assert caught == [SessionSealedError]
    assert other.who == "ada"


@servers
def test_a_session_is_kept_in_the_body_of_a_stream(site: Site, plain: Callable[..., Any]) -> None:
    """It has a record, so it is saved when the body is closed."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        session = get_session(environ)
        if environ["PATH_INFO"] == "/login":
            session.login("ada")
        start_response("200 OK", [])
        yield b""
        if environ["PATH_INFO"] == "/revoke":
            site.default.revoke("ada", keep=session)
        yield str(session.principal).encode()

    visitor, other = plain(app, site.default), site.device(login("ada"))
    visitor.get("/login")
    assert visitor.get("/revoke").body == visitor.get().body == b"ada"
    assert other.who is None


@ways
def test_the_kept_session_survives_its_failing_request(site: Site, plain: Callable[..., Any]) -> None:
    """Nothing of it is saved, but the others are out."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        session = get_session(environ)
        if environ["PATH_INFO"] == "/login":
            session.login("ada")
        elif environ["PATH_INFO"] == "/password":
            session.login("ada")
            site.default.revoke("ada", keep=session)
            session["b"] = 2
        start_response("500 Oops" if environ["PATH_INFO"] == "/password" else "200 OK", [])
        return [f"{session.principal} {dict(session)}".encode()]

    visitor, other = plain(app, site.default), site.device(login("ada"))
    visitor.get("/login")
    assert visitor.get("/password").all("set-cookie") == []
    assert visitor.get().body == b"ada {}"
    assert other.who is None


# The epoch that decides


@pytest.mark.parametrize("encrypt", [False, True], ids=["signed", "encrypted"])
def test_a_missing_epoch_means_revoked(clock: ManualClock, script: Scripted, encrypt: bool) -> None:
    """Who was signed in by a store that kept no epochs is out, and can sign in."""
    device = Device(CookieStore(KEY, encrypt=encrypt, clock=clock))
    device.do(login("ada"))
    assert device.who == "ada"
    device.store = CookieStore(KEY, encrypt=encrypt, revocations=script, clock=clock)
    assert device.open().session.rejected == "revoked"
    device.do(login("ada"))
    assert device.who == "ada"


@scripted
def test_a_lost_epoch_fails_closed(site: Site) -> None:
    """A backend that forgot it logs out everybody whom it concerns; whoever signs in then is in."""
    device, nobody = site.device(login("ada")), site.device(put(a=1))
    site.backend.forget_epochs()
    assert device.open().session.rejected == "revoked"
    other = site.device(login("ada"))
    assert device.open().session.rejected == "revoked"
    assert other.who == "ada"
    assert dict(nobody.do()) == {"a": 1}


@scripted
def test_a_revocation_in_the_midst_of_a_log_in_never_leaves_it_half_done(site: Site) -> None:
    """Who signs in while everybody is logged out is out as well, or in; the next log-in counts."""
    site.device(login("ada"))
    device = Device(site.default)
    visit = device.open()
    visit.session.login("ada")
    site.backend.before["create"] = lambda: site.store().revoke("ada")
    visit.commit()
    assert device.who in ("ada", None)
    site.backend.before.clear()
    device.do(login("ada"))
    assert device.who == "ada"


@scripted
def test_two_first_log_ins_at_once(site: Site) -> None:
    """Both are in: the one that comes second takes the epoch of the first."""
    one, other = Device(site.default), Device(site.default)
    visit = one.open()
    visit.session.login("ada")
    site.backend.before["create"] = lambda: other.do(login("ada"))
    visit.commit()
    assert (one.who, other.who) == ("ada", "ada")
    site.default.revoke("ada")
    assert (one.who, other.who) == (None, None)


@scripted
def test_two_revocations_at_once(site: Site) -> None:
    """The first counts: who is revoked by it cannot keep himself by another."""
    one, other = site.device(login("ada")), site.device(login("ada"))
    visits = [device.open() for device in (one, other)]
    revoke = partial(site.store().revoke, "ada")
    site.backend.before["update"] = lambda: revoke(keep=visits[1].session)
    site.default.revoke("ada", keep=visits[0].session)
    for visit in reversed(visits):
        visit.commit()
    assert (one.who, other.who) == (None, "ada")


@ways
def test_a_failing_backend_revokes_nobody_and_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise BackendError("broken", "answer")

    device = site.device(login("ada"))
    with monkeypatch.context() as patch:
        patch.setattr(site.backend, "update", fail)
        with pytest.raises(BackendError):
            site.default.revoke("ada")
    assert device.who == "ada"


@ways
def test_an_epoch_that_cannot_be_read_logs_nobody_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is down is an error, as no answer is no revocation."""

    def fail(key: str) -> Any:
        raise BackendError("broken", "load")

    device = site.device(login("ada"))
    with monkeypatch.context() as patch:
        patch.setattr(site.backend, "load", fail)
        with pytest.raises(BackendError):
            device.open()
    assert device.who == "ada"


@every
def test_audiences_do_not_share_principals(site: Site) -> None:
    """A service that shares the backend has an "ada" of its own."""
    shop, admin = site.store(audience=site.audience + "/shop"), site.store(audience=site.audience + "/admin")
    in_shop, in_admin = site.device(login("ada"), shop), site.device(login("ada"), admin)
    shop.revoke("ada")
    assert (in_shop.who, in_admin.who) == (None, "ada")
    admin.revoke("ada", keep=in_admin.open().session)
    assert in_admin.who == "ada"


@ways
def test_an_audience_and_a_principal_do_not_run_together(site: Site) -> None:
    one, other = site.store(audience=site.audience + "a"), site.store(audience=site.audience)
    device = site.device(login("da"), one)
    other.revoke("ada")
    assert device.who == "da"


# How long an epoch lives


@every
def test_an_epoch_outlives_the_sessions_of_an_absolute_lifetime(site: Site) -> None:
    """To the last second, whoever signed in first, and purges notwithstanding."""
    store = site.store(lifetime=Lifetime(absolute=DAY))
    early = site.device(login("ada"), store)
    site.clock.advance(DAY - 10)
    late = site.device(login("ada"), store)
    site.clock.advance(9)
    store.purge()
    assert (early.who, late.who) == ("ada", "ada")
    site.clock.advance(1)
    assert early.open().session.rejected == "expired"
    site.clock.advance(DAY - 11)
    store.purge()
    assert late.who == "ada"
    site.clock.advance(1)
    assert late.open().session.rejected == "expired"


@every
def test_a_revocation_outlives_what_it_revoked(site: Site) -> None:
    """No copy of a revoked cookie counts again before it is too old anyway."""
    store = site.store(lifetime=Lifetime(absolute=DAY))
    device = site.device(login("ada"), store)
    kept = site.device(login("ada"), store)
    store.revoke("ada", keep=kept.open().session)
    for _ in range(25):
        assert device.open().session.rejected in ("revoked", "expired")
        site.clock.advance(HOUR)
        store.purge()


@every
def test_a_kept_session_lives_to_its_end(site: Site) -> None:
    """Although the epoch is older, or the revocation was not saved with it."""
    store = site.store(lifetime=Lifetime(absolute=DAY))
    kept = site.device(login("ada"), store)
    site.clock.advance(DAY / 2)
    store.revoke("ada", keep=kept.open().session)
    site.clock.advance(DAY / 2 - 1)
    store.purge()
    assert kept.who == "ada"


@every
def test_who_stays_active_stays_signed_in(site: Site) -> None:
    """Without an absolute limit the epoch lives as long as somebody comes."""
    store = site.store(lifetime=Lifetime(absolute=None, idle=HOUR))
    device, idle = site.device(login("ada"), store), site.device(login("ada"), store)
    for _ in range(20):
        site.clock.advance(0.9 * HOUR)
        store.purge()
        assert device.who == "ada"
    assert idle.open().session.rejected == "expired"
    store.revoke("ada")
    for _ in range(10):
        assert device.open().session.rejected in ("revoked", "expired")
        site.clock.advance(HOUR / 2)


@ways
def test_who_writes_all_the_time_stays_signed_in(site: Site) -> None:
    """A session that is saved in every request is never touched, and needs its epoch as well."""
    store = site.store(lifetime=Lifetime(absolute=None, idle=HOUR))
    device = site.device(login("ada"), store)
    for n in range(40):
        site.clock.advance(0.2 * HOUR)
        store.purge()
        assert device.do(put(n=n)).principal == "ada"


@ways
def test_a_longer_lifetime_keeps_those_who_are_signed_in(site: Site) -> None:
    """The epoch is made to live as long as the sessions do under the new setting."""
    device = site.device(login("ada"), site.store(lifetime=Lifetime(absolute=HOUR)))
    site.clock.advance(HOUR / 2)
    device.store = site.store(lifetime=Lifetime(absolute=DAY))
    device.do(put(a=1))  # which moves the deadline of a record, too
    site.clock.advance(DAY / 2)
    device.store.purge()
    assert device.who == "ada"


# Without a record of its own


def test_a_plain_cookie_store_says_that_it_cannot() -> None:
    store = CookieStore(KEY)
    for call in (
        lambda: store.revoke("ada"),
        lambda: store.sessions_of("ada"),
        lambda: store.end("ada", "x"),
    ):
        with pytest.raises(UsageError, match="revocations=backend"):
            call()


@pytest.mark.parametrize(
    "make",
    [MemoryBackend, lambda: MemoryBackend(max_bytes=10_000), lambda: MemcachedBackend("127.0.0.1:1")],
    ids=["memory", "small memory", "memcached"],
)
def test_a_backend_that_may_forget_is_refused_for_cookies(make: Callable[[], Any]) -> None:
    """What it forgets would come back to life."""
    with pytest.raises(ConfigError, match="'revocations'") as caught:
        CookieStore(KEY, revocations=make())
    assert caught.value.option == "revocations"


def test_one_s_own_backend_that_may_forget_is_refused_for_cookies(script: Scripted) -> None:
    script.evicts = True
    with pytest.raises(ConfigError, match="'revocations'"):
        CookieStore(KEY, revocations=script)


@pytest.mark.parametrize("wrong", [object(), "memory:", MemoryBackend, {}], ids=repr)
def test_what_is_no_backend_is_refused_while_the_application_starts(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="'revocations'") as caught:
        CookieStore(KEY, revocations=wrong)
    assert caught.value.option == "revocations"


# Copies of a cookie

ENDS: dict[str, Act] = {
    "destroy": lambda session: session.destroy(),
    "regenerate": lambda session: session.regenerate(),
    "login": login("ada"),
    "login of somebody else": login("bob"),
}


@cookies
@pytest.mark.parametrize("principal", [None, "ada"])
@pytest.mark.parametrize("how", ENDS)
def test_every_copy_of_a_cookie_ends(site: Site, how: str, principal: str | None) -> None:
    """Log-out and renewal end them all, also those that were sealed before the last change."""
    device = site.device(put(a=1))
    if principal:
        device.do(login(principal))
    copies = [device.copy()]
    device.do(put(a=2))
    copies.append(device.copy())
    device.do(ENDS[how])
    for copy in copies:
        session = copy.open().session
        assert (session.is_new, len(session), session.principal) == (True, 0, None)
    assert (device.cookie is None) == (how == "destroy")
    if how != "destroy":
        assert not device.open().session.is_new


@cookies
def test_a_destroyed_cookie_is_told_to_be_revoked(site: Site) -> None:
    device = site.device(put(a=1))
    copy = device.copy()
    device.do(ENDS["destroy"])
    assert copy.open().session.rejected == "revoked"
    copy.do(put(b=2))
    assert dict(copy.do()) == {"b": 2}


@cookies
def test_a_request_with_a_replaced_cookie_sends_nothing(site: Site) -> None:
    """For two minutes it may be on its way: what it would set could overwrite the newer cookie."""
    device = site.device(put(a=1))
    copy = device.copy()
    device.do(ENDS["regenerate"])
    site.clock.advance(100)
    visit = copy.open()
    visit.session["b"] = 2
    assert visit.commit() is None
    site.clock.advance(HOUR)
    assert copy.open().session.rejected == "revoked"


@cookies
@pytest.mark.parametrize("acts", ["write", "regenerate", "flash", "nothing"])
@pytest.mark.parametrize("how", [*ENDS, "end"])
def test_a_request_under_way_sends_nothing_for_what_ended(site: Site, how: str, acts: str) -> None:
    """Neither a cookie nor a deletion; and what it wrote is gone."""
    device = site.device(login("ada"))
    visit = device.copy().open()
    if how == "end":
        site.default.end("ada", visit.session.handle or "")
    else:
        device.do(ENDS[how])
    doing: dict[str, Act] = {
        "write": put(b=2),
        "regenerate": lambda session: session.regenerate(),
        "flash": lambda session: session.flash("x"),
        "nothing": nothing,
    }
    doing[acts](visit.session)
    cookie = device.cookie
    assert visit.commit() is None
    assert (device.cookie, len(visit.session)) == (cookie, 0)


@ways
@pytest.mark.parametrize("principal", ["ada", "bob"])
@pytest.mark.parametrize("how", ["destroy", "regenerate", "login"])
def test_who_signs_in_while_the_session_ends_is_signed_in(site: Site, how: str, principal: str) -> None:
    """With what this request wrote, and with nothing else."""
    device = site.device(login("ada"))
    device.do(put(a=1))
    other = device.copy()
    visit = other.open()
    device.do(ENDS[how])
    if principal == "ada":
        visit.session["b"] = 2
    visit.session.login(principal)
    assert visit.commit()
    session = other.do()
    assert (session.principal, dict(session)) == (principal, {"b": 2} if principal == "ada" else {})


@pytest.mark.parametrize("first", ["destroy", "regenerate"])
@pytest.mark.parametrize("second", ["regenerate", "login"])
@pytest.mark.parametrize("encrypt", [False, True], ids=["signed", "encrypted"])
def test_two_ends_of_one_cookie_at_the_very_same_moment(
    clock: ManualClock, script: Scripted, encrypt: bool, first: str, second: str
) -> None:
    """One of them is the first: nothing of what it ended is carried on by the other."""
    store = CookieStore(KEY, encrypt=encrypt, revocations=script, clock=clock)
    device = Device(store)
    device.do(login("ada"))
    device.do(put(a=1))
    other = device.copy()
    visit = other.open()
    ENDS[second](visit.session)
    script.before["create"] = lambda: device.do(ENDS[first])  # where the second is about to end the old id
    sent = visit.commit()
    found = other.do()
    if second == "regenerate":
        assert sent is None
    else:
        assert (found.principal, dict(found)) == ("ada", {})


@cookies
def test_a_copy_never_counts_again(site: Site) -> None:
    """The note that it ended is kept as long as the cookie could be valid."""
    store = site.store(lifetime=Lifetime(absolute=DAY, idle=DAY / 2))
    device = site.device(login("ada"), store)
    site.clock.advance(HOUR)
    copies = [device.copy()]
    device.do(put(a=1))
    copies.append(device.copy())
    device.do(ENDS["destroy"])
    for _ in range(30):
        assert {copy.open().session.rejected for copy in copies} <= {"revoked", "expired"}
        site.clock.advance(HOUR)
        store.purge()


@cookies
@pytest.mark.parametrize("how", ENDS)
def test_a_copy_never_counts_again_without_an_absolute_limit(site: Site, how: str) -> None:
    store = site.store(lifetime=Lifetime(absolute=None, idle=HOUR))
    device = site.device(login("ada"), store)
    site.clock.advance(0.9 * HOUR)
    device.do(put(a=1))
    copy = device.copy()
    device.do(ENDS[how])
    site.clock.advance(121)
    for _ in range(20):
        assert copy.open().session.rejected in ("revoked", "expired")
        site.clock.advance(HOUR / 10)
        store.purge()


@pytest.mark.parametrize("encrypt", [False, True], ids=["signed", "encrypted"])
def test_a_cookie_from_before_the_revocations_gets_an_id(
    clock: ManualClock, script: Scripted, encrypt: bool
) -> None:
    """An anonymous one is taken as it is, and can be ended from its next save on."""
    device = Device(CookieStore(KEY, encrypt=encrypt, clock=clock))
    device.do(put(a=1))
    device.store = CookieStore(KEY, encrypt=encrypt, revocations=script, clock=clock)
    assert dict(device.do(put(a=2))) == {"a": 2}
    copy = device.copy()
    device.do(ENDS["destroy"])
    assert copy.open().session.rejected == "revoked"


# The list of devices


@listing
def test_sessions_are_listed(site: Site) -> None:
    """With handle, label and times, the last seen first; those of others are not."""
    site.device(login("bob"))
    site.device(put(a=1))
    first = site.device(login("ada", "Firefox on Linux"))
    site.clock.advance(MINUTE)
    second = site.device(login("ada", "Safari"))
    site.clock.advance(MINUTE)
    third = site.device(login("ada"))
    found = site.default.sessions_of("ada")
    sessions = [device.open().session for device in (third, second, first)]
    assert [info.handle for info in found] == [session.handle for session in sessions]
    assert [info.label for info in found] == [None, "Safari", "Firefox on Linux"]
    assert [info.created for info in found] == [session.created for session in sessions]
    assert [info.last_seen for info in found] == [session.last_seen for session in sessions]


@listing
def test_nobody_s_list_is_empty(site: Site) -> None:
    assert site.default.sessions_of("ada") == []


@listing
def test_times_are_aware(site: Site) -> None:
    site.device(login("ada"))
    (info,) = site.default.sessions_of("ada")
    now = datetime.fromtimestamp(site.clock(), UTC)
    assert (info.created, info.last_seen) == (now, now)
    assert info.created.utcoffset() == timedelta(0)


@listing
def test_created_is_when_the_session_began(site: Site) -> None:
    """Not when somebody signed in; and it was seen then."""
    device = site.device(put(a=1))
    began = datetime.fromtimestamp(site.clock(), UTC)
    site.clock.advance(HOUR)
    device.do(login("ada"))
    (info,) = site.default.sessions_of("ada")
    assert (info.created, info.last_seen) == (began, began + timedelta(hours=1))


@pytest.mark.parametrize("kind", [name for name in SERVERS if name in LISTING], indirect=True)
@pytest.mark.parametrize("act", [nothing, put(a=1)], ids=["touched", "written"])
def test_the_list_tells_when_each_was_last_seen(site: Site, act: Act) -> None:
    """And is in that order."""
    store = site.store(lifetime=Lifetime(idle=DAY, touch_after=MINUTE))
    one = site.device(login("ada"), store)
    site.clock.advance(HOUR)
    other = site.device(login("ada"), store)
    site.clock.advance(HOUR)
    one.do(act)
    seen = datetime.fromtimestamp(site.clock(), UTC)
    found = store.sessions_of("ada")
    assert [info.handle for info in found] == [device.open().session.handle for device in (one, other)]
    assert [info.last_seen for info in found] == [seen, seen - timedelta(hours=1)]


@listing
def test_a_label_may_change(site: Site) -> None:
    """The list shows the one that was saved last."""
    device = site.device(login("ada", "old"))

    def relabel(session: Session) -> None:
        session.label = "new"

    device.do(relabel)
    assert [info.label for info in site.default.sessions_of("ada")] == ["new"]


@listing
@pytest.mark.parametrize("how", ENDS)
def test_what_ended_is_not_listed(site: Site, how: str) -> None:
    """A renewed session is listed once, under its new handle."""
    device, other = site.device(login("ada")), site.device(login("ada"))
    device.do(ENDS[how])
    handles = {info.handle for info in site.default.sessions_of("ada")}
    mine = {device.open().session.handle} if how in ("regenerate", "login") else set()
    assert handles == mine | {other.open().session.handle}


@listing
def test_what_was_revoked_is_not_listed(site: Site) -> None:
    """The kept session is, also before it was saved."""
    kept, _ = site.device(login("ada", "kept")), site.device(login("ada", "other"))
    visit = kept.open()
    site.default.revoke("ada", keep=visit.session)
    assert [info.label for info in site.default.sessions_of("ada")] == ["kept"]
    visit.commit()
    assert [info.label for info in site.default.sessions_of("ada")] == ["kept"]
    site.default.revoke("ada")
    assert site.default.sessions_of("ada") == []


@listing
def test_what_is_too_old_is_not_listed(site: Site) -> None:
    """From the very moment on at which its cookie counts no more."""
    store = site.store(lifetime=Lifetime(absolute=DAY))
    device = site.device(login("ada"), store)
    site.clock.advance(DAY - 1)
    assert len(store.sessions_of("ada")) == 1
    site.clock.advance(1)
    assert device.open().session.is_new
    assert store.sessions_of("ada") == []


@pytest.mark.parametrize("kind", [name for name in SERVERS if name in LISTING], indirect=True)
@pytest.mark.parametrize("limit", ["idle", "max_age"])
def test_what_was_not_seen_for_too_long_is_not_listed(site: Site, limit: str) -> None:
    """Neither by the store's idle time nor by the session's own."""

    def remember(session: Session) -> None:
        session.login("ada")
        session.max_age = HOUR if limit == "max_age" else None

    store = site.store(lifetime=Lifetime(idle=HOUR if limit == "idle" else None))
    device = site.device(remember, store)
    site.clock.advance(HOUR - 1)
    assert len(store.sessions_of("ada")) == 1
    site.clock.advance(1)
    assert device.open().session.is_new
    assert store.sessions_of("ada") == []


@listing
@pytest.mark.parametrize("act", [nothing, put(n=0)], ids=["looking", "writing"])
def test_who_stays_active_stays_listed(site: Site, act: Act) -> None:
    """Without an absolute limit, too, however long it lasts."""
    store = site.store(lifetime=Lifetime(absolute=None, idle=HOUR))
    device = site.device(login("ada"), store)
    for n in range(20):
        site.clock.advance(0.3 * HOUR)
        device.do(act if act is nothing else put(n=n))
        store.purge()
    assert device.who == "ada"
    (info,) = store.sessions_of("ada")
    assert store.end("ada", info.handle)
    assert device.who is None


@listing
@pytest.mark.parametrize("absolute", [None, DAY])
def test_who_never_pauses_stays_listed(site: Site, absolute: float | None) -> None:
    """A session that is saved so often that it is never due to be touched."""
    store = site.store(lifetime=Lifetime(absolute=absolute, idle=HOUR))
    device = site.device(login("ada"), store)
    for n in range(60):
        site.clock.advance(3 * MINUTE)
        device.do(put(n=n))
    assert [info.handle for info in store.sessions_of("ada")] == [device.open().session.handle]


@listing
def test_who_is_remembered_stays_listed(site: Site) -> None:
    """As long as the session's own time lasts, also when that was chosen later."""

    def remember(session: Session) -> None:
        session.max_age = 10 * HOUR

    def login_for_an_hour(session: Session) -> None:
        session.login("ada")
        session.max_age = HOUR

    device = site.device(login_for_an_hour)
    site.clock.advance(HOUR / 2)
    device.do(remember)
    site.clock.advance(9 * HOUR)
    assert device.who == "ada"
    site.clock.advance(9 * HOUR)
    assert len(site.default.sessions_of("ada")) == 1
    assert device.who == "ada"


@pytest.mark.parametrize("kind", ["json", "cookie"], indirect=True)
def test_who_signs_in_while_somebody_lists_stays_listed(site: Site) -> None:
    """After a revocation in the very same moment."""
    site.device(login("ada", "before"))
    device = Device(site.default)

    def meanwhile() -> None:
        site.backend.before.clear()
        site.store().revoke("ada")
        device.do(login("ada", "after"))

    for verb in ("linked", "load"):
        site.backend.before[verb] = meanwhile
        site.default.sessions_of("ada")
        assert [info.label for info in site.default.sessions_of("ada")] == ["after"]


@listing
def test_audiences_do_not_share_lists(site: Site) -> None:
    other = site.store(audience=site.audience + "/other")
    device = site.device(login("ada"), other)
    assert site.default.sessions_of("ada") == []
    assert not site.default.end("ada", device.open().session.handle or "")
    assert device.who == "ada"


@pytest.mark.parametrize("kind", ["json"], indirect=True)
@pytest.mark.parametrize("how", ["destroy", "regenerate", "end", "expired", "revoked"])
def test_entries_of_what_ended_do_not_stay(site: Site, how: str) -> None:
    """Some are removed at once, the others by whoever lists next."""
    store = site.store(lifetime=Lifetime(absolute=None, idle=HOUR))
    device = site.device(login("ada"), store)
    assert len(site.backend.entries()) == 1
    if how in ENDS:
        device.do(ENDS[how])
    elif how == "end":
        store.end("ada", device.open().session.handle or "")
    elif how == "revoked":
        store.revoke("ada")
    else:
        site.clock.advance(1.5 * HOUR)
    store.sessions_of("ada")
    assert len(site.backend.entries()) == (how == "regenerate")


@pytest.mark.parametrize("kind", ["json"], indirect=True)
def test_a_damaged_record_does_not_break_the_list(site: Site) -> None:
    """The others are listed."""
    good, bad = site.device(login("ada")), site.device(login("ada"))
    handle = bad.open().session.handle or ""
    record = site.backend.load(handle)
    site.backend.update(handle, b"damaged", record.expires, record.version)
    found = {info.handle for info in site.default.sessions_of("ada")}
    assert found - {handle} == {good.open().session.handle}


def test_a_list_survives_a_change_of_serializer(script: Scripted, clock: ManualClock) -> None:
    """Entries that cannot be read are left out, those that can are shown."""
    old = ServerStore(script, KEY, serializer=JSONSerializer(), clock=clock)
    new = ServerStore(script, KEY, clock=clock)
    Device(old).do(login("ada", "old"))
    Device(new).do(login("ada", "new"))
    assert [info.label for info in new.sessions_of("ada")] == ["new"]


@pytest.mark.parametrize("kind", ["memcached"], indirect=True)
def test_a_backend_that_cannot_list_says_so(site: Site) -> None:
    """To revoke needs no list."""
    assert not isinstance(site.backend, Lists)
    site.device(login("ada"))
    for call in (lambda: site.default.sessions_of("ada"), lambda: site.default.end("ada", "0" * 64)):
        with pytest.raises(UsageError, match="cannot list"):
            call()


# The end of one of them


@listing
def test_one_session_is_ended_from_another(site: Site) -> None:
    """At its next request; the others stay; it cannot be ended twice."""
    mine, lost = site.device(login("ada")), site.device(login("ada", "lost"))
    handle = next(info.handle for info in site.default.sessions_of("ada") if info.label == "lost")
    assert site.default.end("ada", handle) is True
    assert (lost.who, mine.who) == (None, "ada")
    assert site.default.end("ada", handle) is False
    assert len(site.default.sessions_of("ada")) == 1


@listing
def test_only_one_s_own_sessions_can_be_ended(site: Site) -> None:
    """Handles are no secrets."""
    ada, bob, nobody = site.device(login("ada")), site.device(login("bob")), site.device(put(a=1))
    handles = [device.open().session.handle or "" for device in (bob, nobody)]
    for handle in [*handles, "0" * 64, "", "x"]:
        assert site.default.end("ada", handle) is False
    assert (ada.who, bob.who, dict(nobody.do())) == ("ada", "bob", {"a": 1})


@listing
def test_an_epoch_cannot_be_ended(site: Site) -> None:
    """Nor any other record of the store: only what is on the list."""
    device = site.device(login("ada"))
    if isinstance(site.backend, Scripted):
        for key in site.backend.made.keys() - {device.open().session.handle}:
            assert site.default.end("ada", key) is False
    assert device.who == "ada"


@listing
def test_a_handle_that_was_replaced_ends_nothing(site: Site) -> None:
    device = site.device(login("ada"))
    old = device.open().session.handle or ""
    device.do(ENDS["regenerate"])
    assert site.default.end("ada", old) is False
    assert device.who == "ada"


@listing
def test_a_revoked_session_cannot_be_ended(site: Site) -> None:
    """It is not one of theirs any more."""
    device = site.device(login("ada"))
    handle = device.open().session.handle or ""
    site.default.revoke("ada")
    assert site.default.end("ada", handle) is False


@listing
@pytest.mark.parametrize("acts", ["write", "regenerate"])
def test_what_was_ended_under_a_request_is_not_saved(site: Site, acts: str) -> None:
    """And nothing is sent."""
    device = site.device(login("ada"))
    visit = device.open()
    assert site.default.end("ada", visit.session.handle or "")
    (put(b=2) if acts == "write" else ENDS["regenerate"])(visit.session)
    assert visit.commit() is None
    assert device.open().session.is_new
    assert site.default.sessions_of("ada") == []


@pytest.mark.parametrize("kind", ["json", "cookie"], indirect=True)
def test_one_cannot_end_what_is_being_renewed_and_be_told_that_one_did(site: Site) -> None:
    """The session under the new id lives, so "it ended" would be wrong."""
    device = site.device(login("ada"))
    handle = device.open().session.handle or ""
    twin = device.open()
    twin.session.regenerate()
    verb = "delete" if isinstance(site.default, ServerStore) else "create"
    site.backend.before[verb] = lambda: twin.commit()
    ended = site.default.end("ada", handle)
    assert (device.who is None) == ended


# Events


def make_app(store: Store) -> Any:
    """Does what the path says."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        path, session = environ["PATH_INFO"], get_session(environ)
        if path == "/login":
            session.login("ada")
        elif path == "/write":
            session["n"] = session.get("n", 0) + 1
        elif path == "/logout":
            session.destroy()
        elif path == "/keep":
            store.revoke("ada", keep=session)
        elif path == "/all":
            store.revoke("ada")
        elif path == "/end":
            store.end("ada", environ["HTTP_X_HANDLE"])
        start_response("200 OK", [])
        return [str(session.handle).encode()]

    return app


@ways
def test_events_tell_of_revocations(
    site: Site, plain: Callable[..., Any], events: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever revoked, whom it hit, and which session was kept; never whose they are."""
    caplog.set_level(logging.DEBUG, "sessions_wsgi")
    visitor = plain(make_app(site.default), site.default, on_event=events.append)
    other = plain(make_app(site.default), site.default, on_event=events.append)
    visitor.get("/login")
    other.get("/login")
    handle = visitor.get().body.decode()
    events.clear()
    visitor.get("/keep")
    (revoked,) = [event for event in events if event.kind == "revoked"]
    assert (revoked.name, revoked.handle, revoked.reason) == (
        "session",
        handle,
        "all others of its principal",
    )
    events.clear()
    other.get()
    assert [(event.kind, event.reason) for event in events if event.kind == "rejected"] == [
        ("rejected", "revoked")
    ]
    caplog.clear()
    visitor.get("/all")
    assert "revoked: session '', handle None, reason all of a principal" in caplog.text
    assert re.search(r"\bada\b", caplog.text) is None, "by chance it may be in the middle of a handle"


@listing
def test_events_tell_of_what_was_ended(
    site: Site, plain: Callable[..., Any], events: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sessions_wsgi")
    visitor = plain(make_app(site.default), site.default, on_event=events.append)
    visitor.get("/login")
    visitor.get("/logout")
    destroyed = [event for event in events if event.kind == "destroyed"]
    assert [(event.name, bool(event.handle)) for event in destroyed] == [("session", True)]
    visitor.get("/login")
    handle = visitor.get().body.decode()
    caplog.clear()
    plain(make_app(site.default), site.default).get("/end", HTTP_X_HANDLE=handle)
    assert f"destroyed: session '', handle {handle}, reason from another session" in caplog.text


@listing
def test_events_tell_who_came_too_late(site: Site, plain: Callable[..., Any], events: list[Any]) -> None:
    """A request under way whose session ended is `gone`, and its answer carries no cookie."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        session = get_session(environ)
        if environ["PATH_INFO"] == "/login":
            session.login("ada")
        else:
            site.default.end("ada", session.handle or "")
            session["b"] = 2
        start_response("200 OK", [])
        return [b""]

    visitor = plain(app, site.default, on_event=events.append)
    visitor.get("/login")
    events.clear()
    assert visitor.get("/late").all("set-cookie") == []
    assert [event.kind for event in events] == ["opened", "gone"]


# What it costs


@pytest.fixture(params=["json", "cookie"])
def counted(request: pytest.FixtureRequest, clock: ManualClock) -> Site:
    """A site whose backend counts; each call is one round trip to a server."""
    return Site(KINDS[request.param], Scripted(clock), clock, "")


def cost(site: Site, work: Callable[[], object]) -> dict[str, int]:
    site.backend.calls.clear()
    work()
    return {verb: site.backend.calls.count(verb) for verb in dict.fromkeys(site.backend.calls)}


def test_an_untouched_session_asks_nothing(counted: Site, plain: Callable[..., Any]) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/login":
            get_session(environ).login("ada")
        start_response("200 OK", [])
        return [b""]

    visitor = plain(app, counted.default)
    visitor.get("/login")
    assert cost(counted, visitor.get) == {}


def test_one_to_read_and_two_who_is_signed_in(counted: Site) -> None:
    """An unchanged session is not written."""
    anonymous, ada = counted.device(put(a=[1])), counted.device(login("ada"))
    ada.do(put(a=[1]))
    for act in (nothing, lambda session: list(session["a"]), put(a=[1])):
        assert cost(counted, partial(anonymous.do, act)) == {"load": 1}
        assert cost(counted, partial(ada.do, act)) == {"load": 2}


def test_one_to_write(counted: Site) -> None:
    """A record is updated; of a cookie, it is asked once more whether it has ended."""
    anonymous, ada = counted.device(put(a=1)), counted.device(login("ada"))
    more = {"load": 1} if isinstance(counted.default, CookieStore) else {"update": 1}
    for device, reads in ((anonymous, 1), (ada, 2)):
        expected = dict(more)
        expected["load"] = expected.get("load", 0) + reads
        assert cost(counted, partial(device.do, put(a=2))) == expected


def test_one_to_begin(counted: Site) -> None:
    made = cost(counted, lambda: counted.device(put(a=1)))
    assert made == ({} if isinstance(counted.default, CookieStore) else {"create": 1})


def test_a_forged_cookie_costs_nothing(counted: Site) -> None:
    device = counted.device(login("ada"))
    device.cookie = (device.cookie or "")[:-1] + ("A" if (device.cookie or "")[-1] != "A" else "B")
    assert cost(counted, device.open) == {}


def test_a_revocation_costs_the_same_for_any_number_of_sessions(counted: Site) -> None:
    costs = []
    for number in (1, 20):
        for _ in range(number):
            counted.device(login("ada"))
        costs.append(cost(counted, lambda: counted.default.revoke("ada")))
    assert costs == [{"load": 1, "update": 1}] * 2


def test_what_lies_before_a_lasting_log_in_is_written_now_and_then_only(counted: Site) -> None:
    """Without an absolute limit epoch and list are prolonged now and then, not at each look."""
    store = counted.store(lifetime=Lifetime(absolute=None, idle=DAY, touch_after=DAY / 2))
    device = counted.device(login("ada"), store)
    counted.backend.calls.clear()
    visits = 400
    for _ in range(visits):  # eight idle times
        counted.clock.advance(DAY / 50)
        assert device.who == "ada"
    writes = len(counted.backend.calls) - counted.backend.calls.count("load")
    assert counted.backend.calls.count("load") <= 2 * visits + 100
    assert writes <= 8 * 8


@pytest.mark.parametrize("label", [None, "Firefox"])
@pytest.mark.parametrize(
    "lifetime", [Lifetime(), Lifetime(absolute=None, idle=DAY)], ids=["limited", "endless"]
)
def test_the_list_is_not_written_by_each_request(
    counted: Site, label: str | None, lifetime: Lifetime
) -> None:
    """Only when what it shows has changed, or once in a while."""
    device = counted.device(login("ada", label), counted.store(lifetime=lifetime))
    counted.backend.calls.clear()
    for n in range(10):
        counted.clock.advance(1)
        device.do(put(n=n))
    assert counted.backend.calls.count("link") <= 1
    assert not {"unlink", "linked"} & set(counted.backend.calls)
