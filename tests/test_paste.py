"""The middleware from an ini file, by the real Paste Deploy, and from settings and environment variables."""

from __future__ import annotations

import http.client
import importlib.metadata
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("paste.deploy")

from paste.deploy import loadapp, loadfilter

from sessions_wsgi import ConfigError, CookieStore, JSONSerializer, SessionMiddleware, get_session, paste
from sessions_wsgi.config import (
    middleware_from_env,
    middleware_from_settings,
    store_from_env,
    store_from_settings,
)

ROOT = Path(__file__).parent.parent
KEY = "wN8qZr4LxTk0Vd2JhP6cYs9BmFg5aUe7iRo3WnXtCvM"
MODULE = __name__.rpartition(".")[2]
SECONDS = 20.0  # that a server may take to start on a busy machine

FILTER = """
[filter:sessions]
paste.filter_factory = sessions_wsgi.paste:filter_factory
keys = {key}
"""
SITE = """
[server:main]
use = egg:waitress#main
listen = 127.0.0.1:%(http_port)s
threads = 1

[app:count]
paste.app_factory = {module}:app_factory

[pipeline:main]
pipeline = sessions count
"""


# What the ini files name.


def application(environ: Any, start_response: Any) -> list[bytes]:
    """Counts in the session that the query names."""
    session = get_session(environ, environ["QUERY_STRING"] or "session")
    session["n"] = session.get("n", 0) + 1
    start_response(environ.get("HTTP_X_STATUS", "200 OK"), [("Content-Type", "text/plain")])
    return [str(session["n"]).encode()]


def app_factory(global_conf: dict[str, str], **settings: str) -> Any:
    return application


def busy(environ: Any, start_response: Any) -> list[bytes]:
    start_response("503 Busy", [("Content-Type", "text/plain")])
    return [b"busy"]


EVENTS: list[Any] = []
on_event = EVENTS.append
old_store = CookieStore(KEY, audience="old")
no_function = 5


def theirs(key: Any, base: Any, mine: Any, other: Any) -> Any:
    return other


serializer = JSONSerializer()


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module goes by the name that the files have."""
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """Loads a site whose filter has these lines more."""

    def load(more: str = "url = cookie:", default: str = "", section: str = FILTER) -> Any:
        text = f"[DEFAULT]\n{default}\n{section.format(key=KEY)}{more}\n{SITE.format(module=MODULE)}"
        (tmp_path / "site.ini").write_text(text, "utf-8")
        return loadapp(f"config:{tmp_path}/site.ini")

    return load


# A site from a file


def test_a_filter_gives_sessions(load: Any, visit: Any) -> None:
    visitor = visit(load())
    assert [visitor.get().body for _ in range(3)] == [b"1", b"2", b"3"]


FILTER_APP = """
[filter:sessions]
paste.filter_app_factory = sessions_wsgi.paste:filter_app_factory
keys = {key}
"""


def test_so_does_a_filter_around_an_application(load: Any, visit: Any) -> None:
    visitor = visit(load(section=FILTER_APP))
    assert [visitor.get().body for _ in range(2)] == [b"1", b"2"]


def test_here_is_the_directory_of_the_file(load: Any, visit: Any, tmp_path: Path) -> None:
    visit(load("url = sqlite:///%(here)s/sessions.db")).get()
    assert (tmp_path / "sessions.db").exists()


@pytest.mark.parametrize("default", ["sessions.url = cookie:", "sessions.url = nonsense:"])
def test_defaults_with_the_prefix_count_where_the_filter_says_nothing(load: Any, default: str) -> None:
    if "nonsense" in default:
        assert load("url = cookie:", default).stores.keys() == {"session"}
        with pytest.raises(ConfigError):
            load("", default)
    else:
        assert load("", default).stores.keys() == {"session"}


def test_other_defaults_are_not_looked_at(load: Any) -> None:
    load(default="debug = true\nurls = x")


def test_the_filter_may_have_the_prefix_as_well(load: Any) -> None:
    assert load("sessions.url = cookie:\nsessions.name = visit").stores.keys() == {"visit"}


def test_an_option_set_twice_is_refused(load: Any) -> None:
    with pytest.raises(ConfigError, match="'url' is set twice"):
        load("url = cookie:\nsessions.url = memory:")


def test_the_entry_points_are_declared() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    for group, function in (("paste.filter_factory", paste.filter_factory),
                            ("paste.filter_app_factory", paste.filter_app_factory)):  # fmt: skip
        point = importlib.metadata.EntryPoint("main", points[group]["main"], group)
        assert point.load() is function


@pytest.mark.skipif("TOX_ENV_DIR" not in os.environ, reason="not run by tox")
def test_the_egg_is_found(load: Any, visit: Any) -> None:
    section = "[filter:sessions]\nuse = egg:sessions-wsgi#main\nkeys = {key}\n"
    assert visit(load(section=section)).get().body == b"1"
    assert loadfilter("egg:sessions-wsgi#main", global_conf={"sessions.url": "cookie:", "sessions.keys": KEY})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def ask(port: int, cookie: str = "") -> tuple[bytes, str]:
    """The body, and the cookie for the next request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/", headers={"Cookie": cookie, "Connection": "close"})
        with connection.getresponse() as response:
            return response.read(), (response.getheader("Set-Cookie") or "").partition(";")[0]
    finally:
        connection.close()


def test_a_server_of_the_file_serves_it(load: Any, tmp_path: Path) -> None:
    """Waitress, started the way pserve does."""
    pytest.importorskip("waitress")
    load()
    port = free_port()
    code = (
        "import sys; from paste.deploy import loadapp, loadserver; "
        "uri, conf = sys.argv[1], {'http_port': sys.argv[2]}; "
        "loadserver(uri, global_conf=conf)(loadapp(uri, global_conf=conf))"
    )
    package = Path(sys.modules["sessions_wsgi"].__file__ or "").parent.parent
    path = os.pathsep.join([str(Path(__file__).parent), str(package)])
    command = [sys.executable, "-c", code, f"config:{tmp_path}/site.ini", str(port)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL) as child:  # fmt: skip
        try:
            wait_for(port, child)
            first, cookie = ask(port)
            assert (first, ask(port, cookie)[0]) == (b"1", b"2")
        finally:
            child.terminate()


def wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), SECONDS).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not start")


# Settings and variables, the same options


def from_paste(app: Any, **given: str) -> SessionMiddleware:
    return paste.filter_factory({}, **{name.replace("__", "."): text for name, text in given.items()})(app)


def from_settings(app: Any, **given: str) -> SessionMiddleware:
    settings = {f"sessions.{name.replace('__', '.')}": text for name, text in given.items()}
    return middleware_from_settings(app, {"other": "x", **settings})


def from_env(app: Any, **given: str) -> SessionMiddleware:
    environ = {f"SESSIONS_{name.replace('__', '_').upper()}": text for name, text in given.items()}
    return middleware_from_env(app, environ={"PATH": "/bin", **environ})


Make = Callable[..., SessionMiddleware]
ways = pytest.mark.parametrize("make", [from_paste, from_settings, from_env])
dotted = pytest.mark.parametrize("make", [from_paste, from_settings])
BASIC = {"url": "cookie:", "keys": KEY}


def named(make: Make, option: str) -> str:
    """An option as it was set."""
    if make is from_env:
        return f"SESSIONS_{option.replace('.', '_').upper()}"
    return f"sessions.{option}" if make is from_settings else option


@ways
def test_url_and_keys_are_enough(make: Make, visit: Any) -> None:
    visitor = visit(make(application, **BASIC))
    assert [visitor.get().body for _ in range(2)] == [b"1", b"2"]
    assert visitor.jar.keys() == {"session"}


@ways
def test_the_session_can_have_another_name(make: Make, visit: Any) -> None:
    visitor = visit(make(application, **BASIC, name=" visit "))
    assert visitor.get(QUERY_STRING="visit").cookies.keys() == {"visit"}


@pytest.mark.parametrize(
    ("text", "sent"), [("private, no-cache", ["private, no-cache"]), ("none", []), ("NONE", [])]
)
@ways
def test_cache_control_has_a_text(make: Make, visit: Any, text: str, sent: list[str]) -> None:
    assert visit(make(application, **BASIC, cache_control=text)).get().all("cache-control") == sent


@pytest.mark.parametrize(("text", "saved"), [("true", True), ("false", False)])
@ways
def test_saving_on_errors_has_a_text(make: Make, visit: Any, text: str, saved: bool) -> None:
    reply = visit(make(application, **BASIC, save_on_error=text)).get(HTTP_X_STATUS="500 Oops")
    assert bool(reply.cookies) is saved


@ways
def test_objects_are_named_by_their_module(make: Make, visit: Any) -> None:
    EVENTS.clear()
    more = {
        "unavailable": f"{MODULE}:busy",
        "on_event": f" {MODULE}:on_event ",
        "accept": f"{MODULE}:old_store",
    }
    visitor = visit(make(application, **BASIC, **more))
    old = visit(SessionMiddleware(application, old_store))
    old.get()
    visitor.jar = old.jar
    assert visitor.get().body == b"2"
    assert [event.kind for event in EVENTS] == ["opened", "saved"]


@ways
def test_a_policy_and_a_serializer_may_be_objects(make: Make) -> None:
    serializer = f"{MODULE}:serializer"
    make(application, url="memory:", keys=KEY, conflict=f"{MODULE}:theirs", serializer=serializer)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("name", "a b"),
        ("name", ""),
        ("cache_control", "a\nb"),
        ("cache_control", "\N{SNOWMAN}"),
        ("save_on_error", "maybe"),
        ("unavailable", "busy"),
        ("unavailable", f"{MODULE}:nothing"),
        ("unavailable", f"{MODULE}:no_function"),
        ("unavailable", "no_such_module_at_all:busy"),
        ("unavailable", ":"),
        ("on_event", ""),
        ("on_event", f"{MODULE}:no_function"),
        ("accept", "cookie"),
        ("accept", f"{MODULE}:no_function"),
        ("conflict", f"{MODULE}:no_function"),
        ("serializer", f"{MODULE}:no_function"),
        ("cookie.samesite", "sometimes"),
        ("lifetime.idle", "soon"),
        ("url", "nonsense:"),
        ("keys", "short"),
    ],
)
@ways
def test_a_wrong_value_is_told_as_it_was_set(make: Make, option: str, text: str) -> None:
    url = "memory:" if option == "conflict" else "cookie:"
    with pytest.raises(ConfigError) as caught:
        make(application, **{**BASIC, "url": url, option.replace(".", "__"): text})
    assert caught.value.option == named(make, option)
    if option != "keys":
        assert repr(named(make, option)) in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("nam", "name"),
        ("cache_controll", "cache_control"),
        ("save_on_errors", "save_on_error"),
        ("cookie.secured", "cookie.secure"),
        ("urll", "url"),
    ],
)
@ways
def test_an_unknown_option_is_refused_with_the_nearest(make: Make, wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=named(make, wrong)) as caught:
        make(application, **BASIC, **{wrong.replace(".", "__"): "x"})
    assert caught.value.option == named(make, wrong)
    assert named(make, right) in str(caught.value)


@ways
def test_an_application_that_is_none_is_told_as_that(make: Make) -> None:
    with pytest.raises(ConfigError) as caught:
        make(None, **BASIC)
    assert caught.value.option == "app"


@pytest.mark.parametrize("missing", ["url", "keys"])
@ways
def test_url_and_keys_must_be_set(make: Make, missing: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(application, **{name: text for name, text in BASIC.items() if name != missing})
    assert caught.value.option == named(make, missing)


@pytest.mark.parametrize("read", [store_from_settings, store_from_env])
def test_a_job_takes_its_store_from_the_same_settings(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is the middleware's is not in its way."""
    given = {"url": "cookie:", "keys": KEY, "name": "visit", "cache_control": "none", "save_on_error": "true"}
    if read is store_from_env:
        assert store_from_env(environ={f"SESSIONS_{name.upper()}": text for name, text in given.items()})
    else:
        assert store_from_settings({f"sessions.{name}": text for name, text in given.items()})


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "cookie:")
    monkeypatch.setenv("SHOP_KEYS", KEY)
    monkeypatch.setenv("SHOP_NAME", "visit")
    assert middleware_from_env(application, "SHOP_").stores.keys() == {"visit"}


# Several sessions


@dotted
def test_a_name_before_the_option_makes_a_session(make: Make, visit: Any, tmp_path: Path) -> None:
    middleware = make(application, **BASIC, cart__url=f"file://{tmp_path}", cart__durability="host")
    assert {name: type(store).__name__ for name, store in middleware.stores.items()} == {
        "session": "CookieStore",
        "cart": "ServerStore",
    }
    visitor = visit(middleware)
    visitor.get(QUERY_STRING="cart")
    assert visitor.get(QUERY_STRING="cart").body == b"2"
    assert visitor.get().body == b"1"


@dotted
def test_every_session_can_have_a_name(make: Make) -> None:
    middleware = make(application, keys=KEY, visit__url="cookie:", cart__url="memory:")
    assert list(middleware.stores) == ["visit", "cart"]


@dotted
def test_what_every_store_has_is_said_once_for_all(make: Make) -> None:
    """Unless a session says otherwise."""
    options = {"cookie__secure": "false", "cookie__path": "/shop", "cart__cookie__path": "/shop/cart"}
    stores = make(application, **BASIC, cart__url="memory:", **options).stores
    assert [stores[name].options.secure for name in ("session", "cart")] == [False, False]
    assert [stores[name].options.path for name in ("session", "cart")] == ["/shop", "/shop/cart"]


@dotted
def test_what_one_backend_has_is_not_for_all(make: Make, tmp_path: Path) -> None:
    make(application, url=f"file://{tmp_path}", durability="host", keys=KEY, cart__url="cookie:")


@pytest.mark.parametrize(
    ("given", "option", "words"),
    [
        ({"cart.url": "cookie:", "cart.encript": "1"}, "cart.encript", "did you mean '{}cart.encrypt'"),
        ({"cart.url": "cookie:", "cart.cookie.pth": "1"}, "cart.cookie.pth", "mean '{}cart.cookie.path'"),
        ({"cart.url": "cookie:", "cart.name": "x"}, "cart.name", "unknown setting"),
        ({"cart.encrypt": "1"}, "cart.encrypt", "begins with '{}cart.url'"),
        ({"cart.url": "cookie:", "cart.encrypt": "maybe"}, "cart.encrypt", "true or false"),
        ({"cart.url": "nonsense:"}, "cart.url", "unknown scheme"),
        ({"cart.url": "cookie:", "cart.keys": "short"}, "cart.keys", "32"),
        ({"cart.url": "cookie:", "name": "cart"}, "name", "also"),
        ({"c(rt.url": "cookie:"}, "c(rt.url", "token"),
        ({"cart.url": "cookie:", "cart.cookie.max_age": "401d"}, "cart.cookie.max_age", "400"),
        ({"cokie.secure": "false"}, "cokie.secure", "did you mean '{}cookie.secure'"),
    ],
)  # fmt: skip
@dotted
def test_a_mistake_is_told_with_the_session(
    make: Make, given: dict[str, str], option: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make(application, **BASIC, **given)
    assert caught.value.option == named(make, option)
    assert words.format(named(make, "")) in str(caught.value)


@dotted
def test_a_shared_option_that_is_wrong_is_told_without_a_session(make: Make) -> None:
    with pytest.raises(ConfigError) as caught:
        make(application, keys="short", cart__url="cookie:")
    assert caught.value.option == named(make, "keys")


@pytest.mark.parametrize("option", ["name", "durability"])
@dotted
def test_an_option_for_no_session_is_refused(make: Make, option: str) -> None:
    with pytest.raises(ConfigError, match=r"has no '.*url' to go with") as caught:
        make(application, keys=KEY, cart__url="memory:", **{option: "host"})
    assert caught.value.option == named(make, option)


def test_variables_describe_one_session() -> None:
    """A name in them could not be told from an option."""
    with pytest.raises(ConfigError, match="unknown setting 'SESSIONS_CART_URL'"):
        from_env(application, **BASIC, cart__url="cookie:")


@ways
def test_no_message_shows_a_key(make: Make) -> None:
    with pytest.raises(ConfigError) as caught:
        make(application, url="cookie:", keys=f"{KEY} {KEY}")
    assert KEY[:20] not in f"{caught.value} {caught.value!r}"
