"""Stores from texts: URLs, the settings of an ini file, environment variables."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from webob import Request, Response

import sessions_wsgi
from sessions_wsgi import (
    CBORSerializer,
    ConfigError,
    CookieOptions,
    CookieStore,
    JSONSerializer,
    Lifetime,
    ServerStore,
    UsageError,
    store_from_url,
)
from sessions_wsgi.backends.file import FileBackend
from sessions_wsgi.backends.memcached import MemcachedBackend
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.backends.redis import RedisBackend
from sessions_wsgi.backends.sql import SQLBackend
from sessions_wsgi.backends.sqlite import SQLiteBackend
from sessions_wsgi.config import (
    backend_from_url,
    middleware_from_settings,
    store_from_env,
    store_from_settings,
)
from sessions_wsgi.testing import ManualClock

KEY = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
OTHER_KEY = "b7Qm2Xc9-Lk4Tz8Rf1Vn6Yw3Hs5Jd0Pg_UaEiOoCrBt"
SECRET = "hunter2"  # whatever the password is, no message may hold it
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def count_up(store: Any, cookie: str = "") -> tuple[int, str]:
    """What a visit's counter says, and the cookie for the next visit."""
    request, response = Request.blank("/", headers={"Cookie": f"session={cookie}"}), Response()
    session = store.get(request, "session")
    session["n"] = session.get("n", 0) + 1
    session.save(response)
    (text,) = response.headers.getall("Set-Cookie") or [f"session={cookie};"]
    return session["n"], text.partition(";")[0].partition("=")[2]


def shown(error: BaseException) -> str:
    """The messages of an error and of all that led to it."""
    texts, seen = [], error
    while seen is not None:
        texts.append(f"{seen} {seen!r}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)  # type: ignore[assignment]
    return " ".join(texts)


# URLs

URLS: dict[str, type] = {
    "memory:": MemoryBackend,
    "memory://": MemoryBackend,
    "MEMORY:": MemoryBackend,
    "file:///var/lib/sessions": FileBackend,
    "File:///var/lib/sessions": FileBackend,
    "sqlite:///sessions.db": SQLiteBackend,
    "sqlite:////var/lib/sessions.db": SQLiteBackend,
    "redis://localhost": RedisBackend,
    "redis://localhost:6379/1": RedisBackend,
    "redis://user:hunter2@localhost:6379/1?socket_timeout=1": RedisBackend,
    "rediss://:hunter2@localhost": RedisBackend,
    "redis+sentinel://one:26379,two:26379/main/0": RedisBackend,
    "rediss+sentinel://user:hunter2@one,two/main": RedisBackend,
    "redis+cluster://one:6379,two:6379": RedisBackend,
    "rediss+cluster://one": RedisBackend,
    "postgresql://user:hunter2@localhost/shop": SQLBackend,
    "postgresql+psycopg://user:hunter2@localhost:5432/shop?sslmode=require": SQLBackend,
    "postgres://localhost/shop": SQLBackend,
    "mysql://user:hunter2@localhost/shop": SQLBackend,
    "mysql+pymysql://localhost/shop": SQLBackend,
    "mariadb://user:hunter2@localhost/shop": SQLBackend,
    "mariadb+pymysql://user:hunter2@localhost/shop?charset=utf8mb4": SQLBackend,
    "sqlite+pysqlite:///sessions.db": SQLBackend,
    "memcached://localhost": MemcachedBackend,
    "memcached://one:11211,two:11211": MemcachedBackend,
}


@pytest.mark.parametrize("url", URLS)
def test_a_url_names_a_backend(url: str) -> None:
    """Nothing is connected, opened or made, and no repr shows the password."""
    store = store_from_url(url, KEY)
    assert isinstance(store, ServerStore)
    assert isinstance(store.backend, URLS[url])
    assert type(backend_from_url(url)) is URLS[url]
    for each in (store, store.backend):
        assert SECRET not in repr(each)
        assert KEY not in repr(each)


@pytest.mark.parametrize("url", ["cookie:", "cookie://", "COOKIE:"])
def test_a_cookie_store_has_a_url_too(url: str) -> None:
    assert isinstance(store_from_url(url, KEY), CookieStore)


def test_paths_of_urls(tmp_path: Path) -> None:
    """Blanks and the like are written as %20; an absolute path of SQLite has four slashes."""
    for url in (f"file://{tmp_path}/a%20b", f"sqlite:///{tmp_path}/a%20c.db"):
        assert count_up(store_from_url(url, KEY))[0] == 1
    assert {path.name for path in tmp_path.iterdir()} >= {"a b", "a c.db"}


@pytest.mark.parametrize("path", ["var/lib/shop/x.db", "shop/x.db"])
def test_three_slashes_make_no_directories(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was meant for /var/lib would be below the current directory, another one for each program."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"begins in the current directory, which has no .* four slashes"):
        store_from_url(f"sqlite:///{path}", KEY)
    (tmp_path / path).parent.mkdir(parents=True)
    count_up(store_from_url(f"sqlite:///{path}", KEY))
    assert (tmp_path / path).exists()


def test_a_relative_path_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is relative to where the application was when the store was made."""
    monkeypatch.chdir(tmp_path)
    store = store_from_url("sqlite:///sessions.db", KEY)
    monkeypatch.chdir("/")
    count_up(store)
    assert (tmp_path / "sessions.db").exists()


@pytest.mark.parametrize("url", ["cookie:", "memory:", "file://{}/files", "sqlite:///{}/db"])
def test_the_same_application_runs_on_each(url: str, tmp_path: Path) -> None:
    store = store_from_url(url.format(tmp_path), KEY)
    number, cookie = count_up(store)
    assert (number, count_up(store, cookie)[0]) == (1, 2)


@pytest.mark.parametrize("kind", ["redis", "postgresql", "mariadb", "memcached"])
def test_the_same_application_runs_on_each_server(kind: str, request: pytest.FixtureRequest) -> None:
    store = store_from_url(request.getfixturevalue(f"{kind}_server").url, KEY)
    number, cookie = count_up(store)
    assert (number, count_up(store, cookie)[0]) == (1, 2)
    store.backend.close()  # type: ignore[union-attr]


def test_it_is_exported_at_the_top() -> None:
    assert sessions_wsgi.store_from_url is store_from_url


WRONG_URLS = [
    # What is no URL.
    ("", "must be a URL"),
    ("localhost", "must be a URL"),
    ("/var/lib/sessions", "must be a URL"),
    (None, "must be a URL"),
    (b"memory:", "must be a URL"),
    (5, "must be a URL"),
    # Unknown schemes, and the nearest one.
    ("reddis://localhost", "did you mean 'redis'"),
    ("postgre://localhost", "did you mean 'postgresql'"),
    ("memcache://localhost", "did you mean 'memcached'"),
    ("sqllite:///x.db", "did you mean 'sqlite'"),
    ("files:///x", "did you mean 'file'"),
    ("cookies:", "did you mean 'cookie'"),
    ("redis+sentinels://one/main", "did you mean 'redis\\+sentinel'"),
    ("xyz:", "unknown scheme.*known: .*memory"),
    (":", "scheme"),
    ("://localhost", "scheme"),
    # What the scheme has no use for.
    ("memory:x", "nothing may follow"),
    ("memory://localhost", "nothing may follow"),
    ("memory:?max_bytes=1", "nothing may follow"),
    ("cookie:x", "nothing may follow"),
    ("cookie://localhost", "nothing may follow"),
    # Paths.
    ("file:", "three slashes"),
    ("file://", "three slashes"),
    ("file://var/lib/sessions", "three slashes"),
    ("file:///x?durability=host", "three slashes"),
    ("file:///x#y", "three slashes"),
    ("file:///x%00y", "'(url|directory)'"),
    ("file://[x/y", "'url'"),
    ("sqlite:", "sqlite:///relative.db"),
    ("sqlite://", "sqlite:///relative.db"),
    ("sqlite:///", "sqlite:///relative.db"),
    ("sqlite:///:memory:", "sqlite:///relative.db"),
    ("sqlite://x.db", "sqlite:///relative.db"),
    ("sqlite:///x.db?timeout=5", "'url'"),
    ("sqlite:///x.db#y", "'url'"),
    ("sqlite:///x%00y", "'(url|path)'"),
    ("sqlite://[x/y", "'url'"),
    # Servers.
    ("redis:localhost", "'url'"),
    ("redis://localhost/shop", "number of a database"),
    ("redis://localhost:port", "malformed"),
    ("redis://user:hunter2/x@localhost", "%40 %2F"),
    ("redis://localhost?nonsense=1", "does not know: 'nonsense'"),
    ("redis://localhost?decode_responses=true", "decode_responses"),
    ("redis+sentinel://one:26379", "must name the service"),
    ("redis+cluster://one/1", "must not name a database"),
    ("redis+proxy://one", "did you mean"),
    ("postgresql://user:hunter2@x@localhost/shop", "%40"),
    ("postgresql://localhost:port/shop", "malformed"),
    ("postgresql://localhost/shop?nonsense=1", "does not know"),
    ("mysql://localhost/shop?nonsense=1", "does not know"),
    ("oracle+cx://localhost", "must begin with one of"),
    ("memcached://", "'servers'|'url'"),
    ("memcached://user:hunter2@localhost", "host:port"),
    ("memcached://one:port", "not host:port"),
]


@pytest.mark.parametrize(("url", "reason"), WRONG_URLS, ids=[str(url) for url, _ in WRONG_URLS])
def test_a_wrong_url_is_refused_with_the_reason(url: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        store_from_url(url, KEY)
    if not str(url).startswith("cookie:"):
        with pytest.raises(ConfigError, match=reason):
            backend_from_url(url)


# Each holds the password where somebody could have put it by mistake.
MISPLACED = [
    "hunter2",
    "hunter2:",
    "hunter2@localhost:6379",
    "user:hunter2@localhost:6379",
    "hunter2:hunter2@localhost",
    "redis//user:hunter2@localhost",
    "redis:/user:hunter2@localhost",
    "redis//hunter2@localhost:6379",
    "//:hunter2@localhost",
    "redis://user:hunter2@localhost:port",
    "redis://user:hunter2@localhost/x",
    "redis://localhost?password=hunter2&nonsense=1",
    "redis://localhost/hunter2",
    "redis://user:x@hunter2@localhost:x",
    "redis://user:hunter2\N{FULLWIDTH SOLIDUS}@localhost",
    "redis://user:hunter2\N{ACCOUNT OF}@localhost",
    "redis+sentinel://user:hunter2@one",
    "redis+sentinel://user:hunter2\N{ACCOUNT OF}@one/main",
    "redis+cluster://user:hunter2@one/5",
    "redis+cluster://user:hunter2\N{ACCOUNT OF}@one",
    "postgresql://user:hunter2@x@localhost",
    "postgresql://user:hunter2@localhost:x",
    "postgresql://user:hunter2@localhost/x?nonsense=1",
    "postgresql://user:x@localhost/x?password=hunter2&nonsense=1",
    "mysql://user:hunter2@localhost/x?nonsense=hunter2",
    "mysql://user:hunter2@localhost:x/shop",
    "oracle+x://user:hunter2@localhost",
    "mongodb://user:hunter2@localhost",
    "memory://user:hunter2@localhost",
    "cookie:hunter2",
    "file://user:hunter2@localhost/x",
    "file://user:hunter2\N{ACCOUNT OF}@localhost/x",
    "sqlite://user:hunter2@localhost/x",
    "sqlite://user:hunter2\N{ACCOUNT OF}@localhost/x",
    "memcached://user:hunter2@localhost",
    "memcached://localhost/hunter2",
]


@pytest.mark.parametrize("url", MISPLACED)
def test_no_message_holds_a_password(url: str) -> None:
    """Nor does any error behind it, which a log would show as well."""
    for work in (
        lambda: store_from_url(url, KEY),
        lambda: store_from_url("cookie:", KEY, revocations=url),
        lambda: store_from_settings({"sessions.url": url, "sessions.keys": KEY}),
        lambda: store_from_env(environ={"SESSIONS_URL": url, "SESSIONS_KEYS": KEY}),
        lambda: backend_from_url(url),
    ):
        with pytest.raises(ConfigError) as caught:
            work()
        assert SECRET not in shown(caught.value)


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("redis://localhost", "redis", "redis"),
        ("redis+cluster://localhost", "redis", "redis"),
        ("postgresql://localhost/x", "sqlalchemy", "postgresql"),
        ("postgres://localhost/x", "sqlalchemy", "postgresql"),
        ("postgresql+psycopg://localhost/x", "sqlalchemy", "postgresql"),
        ("mysql://localhost/x", "sqlalchemy", "mysql"),
        ("MariaDB+pymysql://localhost/x", "sqlalchemy", "mysql"),
        ("postgresql://localhost/x", "psycopg", "postgresql"),
        ("mysql://localhost/x", "pymysql", "mysql"),
        ("mariadb://localhost/x", "pymysql", "mysql"),
        ("memcached://localhost", "pymemcache", "memcached"),
    ],
)
def test_a_missing_package_is_told_with_the_line_that_installs_it(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name == module or name.startswith(module + ".")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    rule = rf"needs the package '\w+': pip install 'sessions-wsgi\[{extra}\]'"
    with pytest.raises(ConfigError, match=rule):
        store_from_url(url, KEY)


@pytest.mark.parametrize("url", ["cookie:", "memory:", "redis://localhost"])
@pytest.mark.parametrize("keys", ["", "short", None, 5, [], "a" * 40])
def test_bad_keys_are_refused(url: str, keys: Any) -> None:
    with pytest.raises(ConfigError):
        store_from_url(url, keys)


def test_keys_of_a_url_rotate() -> None:
    """Several in one text, as everywhere."""
    old, new = store_from_url("cookie:", OTHER_KEY), store_from_url("cookie:", f"{KEY} {OTHER_KEY}")
    _, cookie = count_up(old)
    assert count_up(new, cookie)[0] == 2


# Options of a URL's store


def test_options_go_to_the_store_and_to_its_backend(tmp_path: Path) -> None:
    clock = ManualClock()
    store = store_from_url(
        f"file://{tmp_path}/x",
        KEY,
        durability="host",
        sweep_every=None,
        encrypt=True,
        conflict="error",
        options=CookieOptions(path="/shop"),
        lifetime=Lifetime(idle=HOUR),
        serializer=JSONSerializer(),
        audience="shop",
        clock=clock,
    )
    assert "durability='host'" in repr(store.backend)  # type: ignore[union-attr]
    assert (store.options.path, store.lifetime.idle) == ("/shop", HOUR)


def test_store_and_backend_go_by_one_clock() -> None:
    """A record expires by the clock that made its deadline."""
    clock = ManualClock(1000.0)
    store = store_from_url("memory:", KEY, clock=clock, lifetime=Lifetime(idle=HOUR))
    _, cookie = count_up(store)
    assert count_up(store, cookie)[0] == 2
    clock.advance(2 * HOUR)
    assert store.purge() == 1


@pytest.mark.parametrize("url", ["redis://localhost", "cookie:"])
def test_a_clock_is_an_option_of_every_store(url: str) -> None:
    store_from_url(url, KEY, clock=ManualClock())


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("memory:", {"max_bytes": None}),
        ("file:///x", {"durability": "host", "sweep_every": 5}),
        ("sqlite:///x", {"timeout": 1.0, "sweep_every": None}),
        ("redis://localhost", {"prefix": "x:", "timeout": 1}),
        ("postgresql://localhost/x", {"table": "visits", "timeout": 0.5}),
        ("mysql://localhost/x", {"table": "shop.visits"}),
        ("memcached://localhost", {"prefix": "x:", "timeout": 1}),
    ],
)
def test_each_backend_has_its_options(url: str, options: dict[str, Any]) -> None:
    store_from_url(url, KEY, **options)


@pytest.mark.parametrize(
    ("url", "option", "reason"),
    [
        ("memory:", "durability", "known: accept, audience"),
        ("memory:", "max_byte", "did you mean 'max_bytes'"),
        ("file:///x", "durabilty", "did you mean 'durability'"),
        ("file:///x", "max_bytes", "no option 'max_bytes'"),
        ("file:///x", "revocations", "no option 'revocations'"),
        ("sqlite:///x", "timeouts", "did you mean 'timeout'"),
        ("redis://localhost", "table", "no option 'table'"),
        ("redis://localhost", "prefx", "did you mean 'prefix'"),
        ("postgresql://localhost/x", "tabel", "did you mean 'table'"),
        ("postgresql://localhost/x", "prefix", "no option 'prefix'"),
        ("memcached://localhost", "evicts", "no option 'evicts'"),
        ("cookie:", "conflict", "no option 'conflict'"),
        ("cookie:", "max_bytes", "no option 'max_bytes'"),
        ("cookie:", "revocation", "did you mean 'revocations'"),
        ("cookie:", "encrypted", "did you mean 'encrypt'"),
        ("cookie:", "lifetimes", "did you mean 'lifetime'"),
        ("cookie:", "keys2", "no option 'keys2'"),
        ("cookie:", "secure", r"given as options=CookieOptions\(secure=…\)"),
        ("memory:", "idle", r"given as lifetime=Lifetime\(idle=…\)"),
        ("cookie:", "timeout", "did you mean 'lifetime'"),
        ("memory:", "name", "the name is the session's: SessionMiddleware"),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest(url: str, option: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        store_from_url(url, KEY, **{option: 1})
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("url", "option", "value"),
    [
        ("memory:", "max_bytes", 0),
        ("memory:", "conflict", "theirs"),
        ("file:///x", "durability", "disk"),
        ("file:///x", "sweep_every", 0),
        ("sqlite:///x", "timeout", -1),
        ("sqlite:///x", "timeout", None),
        ("redis://localhost", "timeout", 0),
        ("redis://localhost", "timeout", None),
        ("postgresql://localhost/x", "table", "a b"),
        ("postgresql://localhost/x", "timeout", None),
        ("memcached://localhost", "prefix", "a b"),
        ("memcached://localhost", "timeout", None),
        ("cookie:", "lifetime", 3600),
        ("cookie:", "options", {}),
        ("cookie:", "audience", None),
        ("cookie:", "serializer", "json"),
    ],
)
def test_a_wrong_value_is_refused_by_name(url: str, option: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        store_from_url(url, KEY, **{option: value})
    assert caught.value.option == option


# Revocations by URL


def test_revocations_may_be_a_url(tmp_path: Path) -> None:
    """Of a backend that keeps what it was given."""
    store = store_from_url("cookie:", KEY, revocations=f"sqlite:///{tmp_path}/revocations.db")
    store.revoke("ada")
    assert (tmp_path / "revocations.db").exists()
    with pytest.raises(UsageError):
        store_from_url("cookie:", KEY).revoke("ada")


@pytest.mark.parametrize("revocations", ["memory:", "memcached://localhost"])
def test_revocations_on_what_evicts_are_refused(revocations: str) -> None:
    with pytest.raises(ConfigError) as caught:
        store_from_url("cookie:", KEY, revocations=revocations)
    assert caught.value.option == "revocations"


@pytest.mark.parametrize("revocations", ["cookie:", "nonsense:", "localhost", "file://x"])
def test_a_wrong_url_of_revocations_is_told_as_that(revocations: str) -> None:
    """And not as one of the store."""
    with pytest.raises(ConfigError) as caught:
        store_from_url("cookie:", KEY, revocations=revocations)
    assert caught.value.option == "revocations"


# Settings and environment: one table

VALID: dict[str, list[tuple[str, Any]]] = {
    "audience": [("shop", None)],
    "serializer": [("cbor", None), ("json", None), (" JSON ", None)],
    "encrypt": [("true", None), ("0", None)],
    "conflict": [("mine", None), (" error ", None)],
    "cookie.path": [("/shop", "/shop"), (" / ", "/")],
    "cookie.domain": [("example.com", "example.com")],
    "cookie.max_age": [("90", 90.0), ("15m", 15 * MINUTE), ("30d", 30 * DAY), ("none", None)],
    "cookie.secure": [("false", False), ("true", True)],
    "cookie.httponly": [("false", False), ("on", True)],
    "cookie.samesite": [("Strict", "Strict"), ("lax", "Lax"), (" none ", "None")],
    "cookie.partitioned": [("yes", True), ("off", False)],
    "cookie.prefix": [("__Host-", "__Host-"), ("", "")],
    "lifetime.absolute": [("1d", DAY), ("2w", 14 * DAY), ("3600", HOUR)],
    "lifetime.idle": [("1h", HOUR), ("90 s", 90.0), ("1.5h", 1.5 * HOUR), ("none", None)],
    "lifetime.touch_after": [("1m", MINUTE), ("NONE", None)],
}
CASES = [(option, text, value) for option, cases in VALID.items() for text, value in cases]


def from_settings(**given: str) -> Any:
    """A store by settings; double underscores stand for dots."""
    return store_from_settings(
        {
            f"sessions.{name.replace('__', '.')}": text
            for name, text in {"url": "memory:", "keys": KEY, **given}.items()
        }
    )


def from_env(**given: str) -> Any:
    """The same by environment variables."""
    environ = {
        f"SESSIONS_{name.replace('__', '_').upper()}": text
        for name, text in {"url": "memory:", "keys": KEY, **given}.items()
    }
    return store_from_env(environ=environ)


both = pytest.mark.parametrize("make", [from_settings, from_env], ids=["settings", "env"])
Make = Callable[..., Any]


@both
@pytest.mark.parametrize(("option", "text", "value"), CASES)
def test_every_option_has_a_text(make: Make, option: str, text: str, value: Any) -> None:
    store = make(**{option.replace(".", "__"): text})
    group, _, name = option.partition(".")
    if group == "cookie":
        assert getattr(store.options, name) == value
    elif group == "lifetime":
        assert getattr(store.lifetime, name) == value
    assert count_up(store)[0] == 1


@both
def test_url_and_keys_are_enough(make: Make) -> None:
    """Everything else is as it is without settings."""
    store = make()
    assert isinstance(store.backend, MemoryBackend)
    assert (store.options, store.lifetime) == (CookieOptions(), Lifetime())
    assert isinstance(make(url="cookie:"), CookieStore)


@both
@pytest.mark.parametrize("missing", ["url", "keys"])
def test_url_and_keys_must_be_set(make: Make, missing: str) -> None:
    given = {"url": "memory:", "keys": KEY}
    del given[missing]
    hint = {"url": "as in sqlite:", "keys": "sessions-wsgi keygen"}[missing]
    with pytest.raises(ConfigError, match=f"must be set.*{hint}") as caught:
        if make is from_env:
            store_from_env(environ={f"SESSIONS_{name.upper()}": text for name, text in given.items()})
        else:
            store_from_settings({f"sessions.{name}": text for name, text in given.items()})
    assert caught.value.option == (
        "SESSIONS_" + missing.upper() if make is from_env else "sessions." + missing
    )


@both
@pytest.mark.parametrize("text", ["1", "true", "yes", "on", "TRUE", " On "])
def test_texts_of_true(make: Make, text: str) -> None:
    assert make(cookie__partitioned=text).options.partitioned is True


@both
@pytest.mark.parametrize("text", ["0", "false", "no", "off", "FALSE", " Off "])
def test_texts_of_false(make: Make, text: str) -> None:
    assert make(cookie__secure=text).options.secure is False


@both
@pytest.mark.parametrize("text", ["", "maybe", "2", "y", "t", "None", "truee"])
def test_other_texts_are_neither(make: Make, text: str) -> None:
    """What is misspelt must not turn a protection off."""
    with pytest.raises(ConfigError, match="true or false"):
        make(cookie__secure=text)


@both
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("12h", 12 * 3600),
        ("30d", 30 * 86400),
        ("2w", 14 * 86400),
        ("1.5 h", 5400),
        (" 15 M ", 900),
        ("0.5m", 30),
    ],
)
def test_texts_of_durations(make: Make, text: str, seconds: float) -> None:
    lifetime = make(lifetime__idle=text).lifetime
    assert lifetime.idle == seconds == timedelta(seconds=seconds).total_seconds()


@both
@pytest.mark.parametrize("text", ["", "m", "1x", "1 h 5 m", "1h30m", "mm", "5mm", "1y", "soon", "0x10"])
def test_other_texts_are_no_durations(make: Make, text: str) -> None:
    with pytest.raises(ConfigError, match="as in 90s, 15m"):
        make(lifetime__idle=text)


@both
@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "1e400", "-1h"])
def test_durations_are_positive(make: Make, text: str) -> None:
    for option in ("lifetime__idle", "lifetime__absolute", "cookie__max_age"):
        with pytest.raises(ConfigError):
            make(**{option: text})


@both
@pytest.mark.parametrize("text", ["", "x", "1.5", "1e3", "-1"])
def test_counts_are_whole_numbers(make: Make, text: str) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        make(max_bytes=text)


@both
@pytest.mark.parametrize("text", ["100000", " 100000 ", "none"])
def test_texts_of_counts(make: Make, text: str) -> None:
    assert isinstance(make(max_bytes=text).backend, MemoryBackend)


@both
@pytest.mark.parametrize("text", ["pickle", "", "yaml"])
def test_other_serializers_are_refused(make: Make, text: str) -> None:
    with pytest.raises(ConfigError, match="cbor or json"):
        make(serializer=text)


@both
def test_the_serializer_is_the_one_that_was_named(make: Make) -> None:
    assert isinstance(make()._serializer, CBORSerializer)
    assert isinstance(make(serializer="json")._serializer, JSONSerializer)


@both
def test_options_of_the_backend(make: Make, tmp_path: Path) -> None:
    """All of them; those of another backend are refused."""
    files = make(url=f"file://{tmp_path}/files", durability="host", sweep_every="50")
    assert "durability='host'" in repr(files.backend)
    make(url=f"sqlite:///{tmp_path}/db", timeout="2s", sweep_every="none")
    make(url="redis://localhost", prefix="shop:", timeout="50")
    assert "table='visits'" in repr(make(url="postgresql://localhost/x", table="visits").backend)
    make(url="memcached://localhost", prefix="shop:", timeout="1.5")
    with pytest.raises(ConfigError, match=r"(?i)durability"):
        make(url="memory:", durability="host")


@both
def test_revocations_of_cookies(make: Make, tmp_path: Path) -> None:
    make(url="cookie:", revocations=f" sqlite:///{tmp_path}/db ").revoke("ada")
    with pytest.raises(ConfigError, match=r"(?i)revocations"):
        make(url="memory:", revocations=f"sqlite:///{tmp_path}/db")


@both
def test_encryption(make: Make) -> None:
    """Is what it says, also when it is off."""
    for text, dots in (("true", 0), ("false", 1)):
        assert count_up(make(url="cookie:", encrypt=text))[1].count(".") == dots


@both
def test_keys_rotate(make: Make) -> None:
    """A fleet rotates without a change of code."""
    _, cookie = count_up(make(url="cookie:", keys=OTHER_KEY))
    assert count_up(make(url="cookie:", keys=f"{KEY} {OTHER_KEY}"), cookie)[0] == 2
    assert count_up(make(url="cookie:", keys=f" {KEY}\n{OTHER_KEY}\n"), cookie)[0] == 2


@both
def test_audiences_are_apart(make: Make) -> None:
    _, cookie = count_up(make(url="cookie:", audience="shop"))
    assert count_up(make(url="cookie:", audience="admin"), cookie)[0] == 1


# Mistakes

UNKNOWN = [
    ("urls", "url"),
    ("key", "keys"),
    ("encrypted", "encrypt"),
    ("cookie.secured", "cookie.secure"),
    ("cookie.http_only", "cookie.httponly"),
    ("cookie.same_site", "cookie.samesite"),
    ("lifetime.absolut", "lifetime.absolute"),
    ("lifetime.touch", "lifetime.touch_after"),
    ("revocation", "revocations"),
    ("tabel", "table"),
    ("secret", "keys"),
    ("secret_key", "keys"),
    ("secur", "cookie.secure"),
    ("type", "url"),
    ("store", "url"),
    ("ttl", "lifetime.absolute"),
    ("idle", "lifetime.idle"),
    ("cookie_name", "name"),
    ("cookie.name", "name"),
]


@pytest.mark.parametrize(("wrong", "right"), UNKNOWN)
def test_an_unknown_setting_is_refused_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"'sessions\.{wrong}'.*did you mean 'sessions\.{right}'"
    ) as caught:
        from_settings(**{wrong.replace(".", "__"): "x"})
    assert caught.value.option == f"sessions.{wrong}"


@pytest.mark.parametrize(("wrong", "right"), UNKNOWN)
def test_an_unknown_variable_is_refused_with_the_nearest(wrong: str, right: str) -> None:
    wrong, right = (f"SESSIONS_{name.replace('.', '_').upper()}" for name in (wrong, right))
    with pytest.raises(ConfigError, match=f"'{wrong}'.*did you mean '{right}'") as caught:
        store_from_env(environ={"SESSIONS_URL": "memory:", "SESSIONS_KEYS": KEY, wrong: "x"})
    assert caught.value.option == wrong


def test_a_key_may_have_been_meant_as_a_name() -> None:
    """Beaker's is."""
    with pytest.raises(ConfigError, match=r"'sessions\.keys'\? \(the cookie's name is 'sessions\.name'\)"):
        middleware_from_settings(lambda *_: [], {"sessions.url": "cookie:", "sessions.key": "shop"})


@both
def test_the_option_of_another_store_is_refused_by_the_names_of_settings(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"(?i)known: .*cookie[._]secure.*url") as caught:
        make(url="cookie:", durability="host")
    assert not any(f"{name}," in str(caught.value).lower() for name in ("clock", "sessions.options"))
    assert "durability" in (caught.value.option or "").lower()


@both
def test_what_another_store_has_is_not_taken_for_misspelled(make: Make) -> None:
    """Though it is like ``cookie.max_age``."""
    with pytest.raises(ConfigError, match=r"(?i)no option .*max_bytes'; known: "):
        make(url="cookie:", max_bytes="5")


@both
def test_a_timeout_of_cookies_may_have_been_meant_as_an_end(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"(?i)no option .*timeout'; did you mean 'sessions.lifetime.idle'"):
        make(url="cookie:", timeout="1200")


@both
@pytest.mark.parametrize("url", ["redis://localhost", "postgresql://localhost/x", "sqlite:///x"])
def test_a_timeout_is_not_when_a_session_ends(make: Make, url: str) -> None:
    with pytest.raises(ConfigError, match=r"(?i)'sessions.timeout' .* at most 60 seconds.*lifetime\.idle"):
        make(url=url, timeout="1200")
    make(url=url, timeout="60")


@both
def test_what_is_like_nothing_is_refused_with_all_that_there_is(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"(?i)known: .*audience.*url"):
        make(qqqqqqqq="x")


@both
@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("encrypt", "maybe"),
        ("cookie.secure", "maybe"),
        ("cookie.max_age", "soon"),
        ("cookie.max_age", "401d"),
        ("cookie.path", "shop"),
        ("cookie.domain", "a b"),
        ("cookie.samesite", "sometimes"),
        ("cookie.prefix", "__Mine-"),
        ("lifetime.idle", "0"),
        ("lifetime.absolute", "soon"),
        ("lifetime.touch_after", "-1"),
        ("max_bytes", "0"),
        ("max_bytes", "x"),
        ("serializer", "pickle"),
        ("conflict", "theirs"),
        ("keys", "short"),
        ("keys", ""),
        ("url", "localhost"),
        ("url", "nonsense:"),
        ("durability", "host"),
        ("audience", "a\0b"),
    ],
)
def test_a_wrong_value_is_told_as_it_was_set(make: Make, option: str, text: str) -> None:
    """`option` and the message name the setting, not the argument behind it."""
    full = f"SESSIONS_{option.replace('.', '_').upper()}" if make is from_env else f"sessions.{option}"
    with pytest.raises(ConfigError) as caught:
        make(**{option.replace(".", "__"): text})
    assert caught.value.option == full
    if option not in ("keys", "durability"):
        assert repr(full) in str(caught.value)


@both
def test_of_two_options_of_one_name_the_wrong_one_is_told(make: Make) -> None:
    with pytest.raises(ConfigError) as caught:
        make(url="redis://localhost", prefix="shop:", cookie__prefix="__Mine-")
    assert caught.value.option in ("sessions.cookie.prefix", "SESSIONS_COOKIE_PREFIX")


@both
@pytest.mark.parametrize("url", ["cookie:", "memory:"])
def test_wrong_revocations_are_told_as_they_were_set(make: Make, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(url=url, revocations="nonsense:")
    assert caught.value.option in ("sessions.revocations", "SESSIONS_REVOCATIONS")


@both
@pytest.mark.parametrize(
    "url", ["sqlite:///x", "redis://localhost", "postgresql://localhost/x", "memcached://localhost"]
)
def test_to_wait_for_ever_is_refused(make: Make, url: str) -> None:
    with pytest.raises(ConfigError, match=r"(?i)timeout"):
        make(url=url, timeout="none")


@both
def test_combinations_are_checked(make: Make) -> None:
    for given in (
        {"cookie__samesite": "none", "cookie__secure": "false"},
        {"cookie__prefix": "__Host-", "cookie__path": "/shop"},
        {"lifetime__idle": "none", "lifetime__absolute": "none"},
        {"lifetime__idle": "1h", "lifetime__touch_after": "2h"},
    ):
        with pytest.raises(ConfigError):
            make(**given)


@both
def test_no_message_shows_a_key(make: Make) -> None:
    for keys in (f"{KEY} {KEY}", f"{KEY} short", KEY[:20]):
        with pytest.raises(ConfigError) as caught:
            make(keys=keys)
        assert KEY[:20] not in shown(caught.value)


# Where they are looked for


def test_other_settings_are_not_looked_at() -> None:
    settings = {
        "sessions.url": "memory:",
        "sessions.keys": KEY,
        "pyramid.debug": "x",
        "sessionsx": "y",
        "url": "z",
    }
    assert isinstance(store_from_settings(settings), ServerStore)


def test_the_prefix_of_settings_can_be_chosen() -> None:
    settings = {"cart.url": "cookie:", "cart.keys": KEY, "sessions.url": "nonsense"}
    assert isinstance(store_from_settings(settings, prefix="cart."), CookieStore)
    with pytest.raises(ConfigError, match=r"'cart\.urll'.*'cart\.url'") as caught:
        store_from_settings({"cart.urll": "memory:"}, prefix="cart.")
    assert caught.value.option == "cart.urll"


def test_settings_without_a_prefix() -> None:
    assert isinstance(store_from_settings({"url": "cookie:", "keys": KEY}, prefix=""), CookieStore)


@pytest.mark.parametrize("value", [True, 3600, None, ["x"]])
def test_settings_are_texts(value: Any) -> None:
    """As an ini file has them; a mapping of Python values is told so."""
    with pytest.raises(ConfigError, match=r"'sessions\.encrypt'") as caught:
        store_from_settings({"sessions.url": "memory:", "sessions.keys": KEY, "sessions.encrypt": value})
    assert caught.value.option == "sessions.encrypt"


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONS_URL", "cookie:")
    monkeypatch.setenv("SESSIONS_KEYS", KEY)
    monkeypatch.setenv("SESSIONS_COOKIE_MAX_AGE", "1h")
    assert store_from_env().options.max_age == HOUR


def test_the_prefix_of_variables_can_be_chosen() -> None:
    environ = {"CART_URL": "cookie:", "CART_KEYS": KEY, "SESSIONS_URL": "nonsense", "PATH": "/bin"}
    assert isinstance(store_from_env("CART_", environ), CookieStore)
    with pytest.raises(ConfigError, match="'CART_KEYS' must be set"):
        store_from_env("CART_", {"CART_URL": "cookie:"})


def test_the_keys_may_be_in_the_variable_of_the_command_line() -> None:
    sealed = count_up(store_from_env(environ={"SESSIONS_URL": "cookie:", "SESSION_KEYS": KEY}))[1]
    assert CookieStore(KEY).open("session", [sealed])["n"] == 1


def test_the_variable_with_the_prefix_goes_first() -> None:
    environ = {"SESSIONS_URL": "cookie:", "SESSIONS_KEYS": OTHER_KEY, "SESSION_KEYS": KEY}
    assert CookieStore(OTHER_KEY).open("session", [count_up(store_from_env(environ=environ))[1]])["n"] == 1


def test_another_prefix_has_its_own_keys() -> None:
    with pytest.raises(ConfigError, match="'CART_KEYS' must be set"):
        store_from_env("CART_", {"CART_URL": "cookie:", "SESSION_KEYS": KEY})


def test_wrong_keys_are_told_by_the_variable_that_holds_them() -> None:
    with pytest.raises(ConfigError, match="'SESSION_KEYS'") as caught:
        store_from_env(environ={"SESSIONS_URL": "cookie:", "SESSION_KEYS": "short"})
    assert caught.value.option == "SESSION_KEYS"


def test_a_prefix_without_its_end_is_refused() -> None:
    """It would find options that begin with a dot, and none that is right."""
    with pytest.raises(ConfigError, match=r"'prefix' must end with '\.'"):
        store_from_settings({"sessions.url": "cookie:", "sessions.keys": KEY}, "sessions")
    with pytest.raises(ConfigError, match="'prefix' must end with '_'"):
        store_from_env("SESSIONS", {"SESSIONS_URL": "cookie:", "SESSIONS_KEYS": KEY})


def test_what_is_given_is_left_alone() -> None:
    settings = {"sessions.url": "memory:", "sessions.keys": KEY, "sessions.cookie.secure": "false"}
    before = dict(settings)
    store_from_settings(settings)
    assert settings == before


@pytest.mark.parametrize("name", ["SESSIONS_cookie_secure", "SESSIONS_COOKIE.SECURE"])
def test_a_variable_in_other_letters_is_told_as_it_was_found(name: str) -> None:
    with pytest.raises(ConfigError, match="did you mean 'SESSIONS_COOKIE_SECURE'") as caught:
        store_from_env(environ={"SESSIONS_URL": "cookie:", "SESSIONS_KEYS": KEY, name: "0"})
    assert caught.value.option == name
