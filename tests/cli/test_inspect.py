"""``sessions-wsgi inspect``: what it recognises, verifies, and keeps to itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shell import NOW, Done, cookie

from sessions_wsgi import (
    CBORSerializer,
    CookieOptions,
    CookieStore,
    JSONSerializer,
    Key,
    MemoryStore,
    SignedCodec,
    envelope,
)

Cli = Callable[..., Done]
KEY = Key("fM3vQx8ZtLk2Wb7HsYd0RnCg5JpUa9EeVi4ToX1rKzB")
OTHER = Key("Q0wErTy1UiOp2AsDf3GhJk4LzXc5VbNm6QwEr7TyUiP")


def at(seconds: float = 0) -> Any:
    return lambda: NOW + seconds


def one(done: Done) -> dict[str, Any]:
    [report] = done.data["cookies"]
    return report


# Without keys


def test_a_signed_cookie_tells_its_size_by_key_without_any_key(cli: Cli) -> None:
    report = one(cli("inspect", "--json", "session=" + cookie(CookieStore(KEY, clock=at()))))
    assert report["format"] == "signed"
    assert report["verified"] is None
    assert list(report["sizes"]) == ["cart", "[42]", "pair", "(flashes)"]


def test_sizes_are_those_of_the_error_for_large_cookies(cli: Cli) -> None:
    store = CookieStore(KEY, clock=at())
    text = cookie(store)
    expected = envelope.sizes(store.open("session", [text]), CBORSerializer())
    assert one(cli("inspect", "--json", text))["sizes"] == expected


def test_sizes_of_a_json_cookie(cli: Cli) -> None:
    store = CookieStore(KEY, serializer=JSONSerializer(), clock=at())
    session = store.open("session", [])
    session["cart"] = ["apple"]
    report = one(cli("inspect", "--json", store.commit(session) or ""))
    assert report["serializer"] == "json"
    assert report["sizes"] == {"cart": len(b'{"cart":["apple"]}')}


def test_people_are_told_that_nothing_was_verified(cli: Cli) -> None:
    assert "not verified: no keys were given" in cli("inspect", cookie(CookieStore(KEY, clock=at()))).out


def test_an_encrypted_cookie_tells_its_key_id_and_nothing_else(cli: Cli) -> None:
    report = one(cli("inspect", "--json", cookie(CookieStore(KEY, encrypt=True, clock=at()))))
    assert report["format"] == "encrypted"
    assert report["key_id"] == KEY.id.hex()
    assert "sizes" not in report
    assert "created" not in report


def test_an_id_cookie_tells_the_handle_that_events_and_lists_show(cli: Cli) -> None:
    store = MemoryStore(KEY, clock=at())
    text = cookie(store)
    report = one(cli("inspect", "--json", text))
    assert report["format"] == "id"
    assert report["handle"] == store.open("session", [text]).handle


def test_ages_are_counted_from_now(cli: Cli) -> None:
    report = one(cli("inspect", "--json", cookie(CookieStore(KEY, clock=at())), now=NOW + 90))
    assert (report["age"], report["unseen"]) == (90, 90)
    assert report["created"] == "2027-01-15T08:00:00+00:00"


def test_a_size_counts_the_name(cli: Cli) -> None:
    text = cookie(CookieStore(KEY, clock=at()))
    report = one(cli("inspect", "--json", f"session={text}"))
    assert report["size"] == len(f"session={text}")
    assert report["limit"] == 4096


# With keys


@pytest.mark.parametrize("encrypt", [False, True])
def test_the_key_that_opens_is_named(cli: Cli, keys: Key, encrypt: bool) -> None:
    text = cookie(CookieStore(keys, encrypt=encrypt, clock=at()))
    done = cli("inspect", "--json", f"session={text}")
    assert done.status == 0
    report = one(done)
    assert report["verified"] is True
    assert report["key_id"] == keys.id.hex()


def test_an_id_cookie_is_verified_too(cli: Cli, keys: Key) -> None:
    assert one(cli("inspect", "--json", cookie(MemoryStore(keys, clock=at()))))["verified"] is True


@pytest.mark.parametrize(("encrypt", "reason"), [(False, "forged"), (True, "unknown_key")])
def test_a_cookie_of_another_key_is_told_with_status_one(
    cli: Cli, keys: Key, encrypt: bool, reason: str
) -> None:
    done = cli("inspect", "--json", cookie(CookieStore(KEY, encrypt=encrypt, clock=at())))
    assert done.status == 1
    assert one(done)["verified"] is False
    assert one(done)["reason"] == reason


def test_an_older_key_opens_and_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_KEYS", f"{OTHER.secret.decode()} {KEY.secret.decode()}")
    report = one(cli("inspect", "--json", cookie(CookieStore(KEY, clock=at()))))
    assert report["key_id"] == KEY.id.hex()


def test_a_cookie_of_another_name_does_not_open(cli: Cli, keys: Key) -> None:
    text = cookie(CookieStore(keys, clock=at()))
    assert cli("inspect", "--json", "--name", "cart", text).status == 1


def test_a_value_alone_is_tried_under_the_usual_names(cli: Cli, keys: Key) -> None:
    store = CookieStore(keys, options=CookieOptions(prefix="__Host-"), clock=at())
    report = one(cli("inspect", "--json", cookie(store)))
    assert report["sealed_for"] == "__Host-session"


@pytest.mark.parametrize(
    "arguments", [("--audience", "shop"), ("--option", "audience=shop")], ids=lambda found: found[0]
)
def test_an_audience_must_be_given(cli: Cli, keys: Key, arguments: tuple[str, ...]) -> None:
    text = cookie(CookieStore(keys, audience="shop", clock=at()))
    assert cli("inspect", "--json", text).status == 1
    assert cli("inspect", "--json", text, *arguments).status == 0


def test_a_session_that_is_over_is_told_with_status_one(cli: Cli, keys: Key) -> None:
    text = cookie(CookieStore(keys, clock=at()))
    done = cli("inspect", "--json", text, now=NOW + timedelta(days=30).total_seconds())
    assert one(done)["expired"] is True
    assert done.status == 1


def test_the_lifetime_of_the_site_decides_what_is_over(cli: Cli, keys: Key) -> None:
    text = cookie(CookieStore(keys, clock=at()))
    idle = ("--option", "lifetime.idle=15m")
    assert cli("inspect", "--json", text, *idle, now=NOW + 899).status == 0
    assert cli("inspect", "--json", text, *idle, now=NOW + 900).status == 1


@pytest.mark.parametrize("source", ["--keys-file", "--keys-env"])
def test_keys_come_from_a_file_or_another_variable(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "keys").write_text(f"{OTHER.secret.decode()}\n{KEY.secret.decode()}\n")
    monkeypatch.setenv("SHOP_KEYS", KEY.secret.decode())
    value = {"--keys-file": str(tmp_path / "keys"), "--keys-env": "SHOP_KEYS"}[source]
    assert cli("inspect", "--json", source, value, cookie(CookieStore(KEY, clock=at()))).status == 0


# Values


@pytest.mark.parametrize("source", ["--keys-file", "--keys-env", "SESSION_KEYS"])
def test_bad_keys_are_told_by_where_they_come_from(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "keys").write_text("too-short")
    monkeypatch.setenv("SHOP_KEYS" if source == "--keys-env" else "SESSION_KEYS", "too-short")
    value = {"--keys-file": str(tmp_path / "keys"), "--keys-env": "SHOP_KEYS"}.get(source)
    done = cli("inspect", *([] if value is None else [source, value]), "session=x.y")
    shown = "SHOP_KEYS" if source == "--keys-env" else source
    assert (done.status, f"each of '{shown}' must have at least 32 bytes" in done.err) == (2, True)
    assert "too-short" not in done.err


def test_values_are_shown_on_demand_only(cli: Cli, keys: Key) -> None:
    text = cookie(CookieStore(keys, clock=at()), principal="ada")
    for arguments in ((), ("--json",)):
        out = cli("inspect", text, *arguments).out
        assert "apple" not in out
        assert "ada" not in out
        assert "welcome" not in out


def test_values_on_demand(cli: Cli, keys: Key) -> None:
    text = cookie(CookieStore(keys, encrypt=True, clock=at()), principal="ada")
    report = one(cli("inspect", "--json", "--show-values", text))
    assert report["principal"] == "ada"
    assert report["values"] == {
        "cart": ["apple"],
        "[42]": 43,
        "pair": "(1, 2)",
        "(flashes)": [["", "welcome"]],
    }


def test_values_for_people(cli: Cli, keys: Key) -> None:
    out = cli("inspect", "--show-values", cookie(CookieStore(keys, clock=at()))).out
    assert "['apple']" in out
    assert "(1, 2)" in out


def test_values_need_keys(cli: Cli) -> None:
    done = cli("inspect", "--show-values", cookie(CookieStore(KEY, clock=at())))
    assert done.status == 2
    assert "'--show-values' needs the keys" in done.err


def test_values_that_are_not_verified_are_not_shown(cli: Cli, keys: Key) -> None:
    done = cli("inspect", "--json", "--show-values", cookie(CookieStore(KEY, clock=at())))
    assert "values" not in one(done)
    assert "apple" not in done.out


def test_the_csrf_secret_is_never_shown(cli: Cli, keys: Key) -> None:
    store = CookieStore(keys, clock=at())
    session = store.open("session", [])
    session.csrf_token()
    secret = session.extras["csrf"]
    assert secret not in cli("inspect", "--show-values", store.commit(session) or "").out


@dataclasses.dataclass
class Person:
    name: str


def test_a_type_of_the_application_hides_only_its_own_value(cli: Cli, keys: Key) -> None:
    store = CookieStore(keys, serializer=CBORSerializer(types={"person/1": Person}), clock=at())
    session = store.open("session", [])
    session.update({"who": Person("ada"), "n": 1})
    report = one(cli("inspect", "--json", "--show-values", store.commit(session) or ""))
    assert report["sizes"]["who"] > 10
    assert report["values"] == {"who": "(of a type of the application)", "n": 1}


def test_a_label_cannot_command_the_terminal(cli: Cli, keys: Key) -> None:
    store = CookieStore(keys, clock=at())
    session = store.open("session", [])
    session["\x1b[2J"] = "\x1b]0;owned\x07"
    out = cli("inspect", "--show-values", store.commit(session) or "").out
    assert "\x1b" not in out
    assert "\x07" not in out


# Where a cookie stands


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "session={}",
        'session="{}"',
        "session={}; Path=/; HttpOnly; SameSite=Lax",
        "Set-Cookie: session={}; Path=/; Secure",
        "set-cookie:session={}",
        "Cookie: session={}",
        "a=b; session={}; c=d",
        "HTTP/1.1 200 OK\r\nVary: Cookie\r\nSet-Cookie: session={}; Path=/\r\nX: y\r\n\r\n",
    ],
)
def test_a_cookie_is_found_wherever_it_stands(cli: Cli, keys: Key, form: str) -> None:
    text = form.format(cookie(CookieStore(keys, clock=at())))
    assert cli("inspect", "--json", "--name", "session", text).status == 0
    assert cli("inspect", "--json", "--name", "session", "-", stdin=text.encode()).status == 0


def test_all_cookies_of_a_header_are_told(cli: Cli) -> None:
    text = cookie(CookieStore(KEY, clock=at()))
    reports = cli("inspect", "--json", f"Cookie: a=b; session={text}").data["cookies"]
    assert [(report["name"], report["format"]) for report in reports] == [
        ("a", "unknown"),
        ("session", "signed"),
    ]


def test_of_several_the_named_one_is_told(cli: Cli) -> None:
    text = cookie(CookieStore(KEY, clock=at()))
    assert one(cli("inspect", "--json", "--name", "session", f"a=b; session={text}"))["name"] == "session"


def test_a_name_that_is_not_there_is_told_with_status_one(cli: Cli) -> None:
    done = cli("inspect", "--json", "--name", "cart", "Cookie: a=b")
    assert done.status == 1
    assert "no such cookie" in done.data["error"]


def test_a_deletion_is_told(cli: Cli) -> None:
    assert one(cli("inspect", "--json", "session=; Max-Age=0; Path=/"))["format"] == "empty"


# What is none of ours


def test_what_is_not_plain_is_unknown_with_status_one(cli: Cli) -> None:
    done = cli("inspect", "--json", "session=abc")
    assert one(done)["format"] == "unknown"
    assert done.status == 1


def test_a_signed_text_of_another_purpose_is_no_session(cli: Cli) -> None:
    assert one(cli("inspect", "--json", SignedCodec(KEY, "reset").seal("x", b"hello")))["format"] == "unknown"


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_an_envelope_that_is_cut_off_is_no_session(cli: Cli, cut: int) -> None:
    data = envelope.dumps(CookieStore(KEY, clock=at()).open("session", []), CBORSerializer(), int(NOW * 1000))
    text = SignedCodec(KEY, "session").seal("session", (data + bytes(60))[: len(data) + 60 - cut - 1])
    assert one(cli("inspect", "--json", text))["format"] == "unknown"


@pytest.mark.parametrize(
    "data",
    [b"\x85\x01\x01\x01", b"\x85\x01\x01\x01\xa1", b"\x85" + b"\x81" * 3000, b"[1,1,1,[],{}]", b"[" * 3000],
)
def test_hostile_bytes_are_no_session(cli: Cli, data: bytes) -> None:
    assert (
        one(cli("inspect", "--json", SignedCodec(KEY, "session").seal("session", data)))["verified"] is None
    )


def test_hostile_times_are_told_all_the_same(cli: Cli) -> None:
    serializer = CBORSerializer()
    extras = {"max_age": 2**80, "authenticated_ms": "x", "id": "y", "principal": 3}
    data = serializer.dumps([1, 0, 2**47 - 1, {}, extras])
    assert one(cli("inspect", "--json", SignedCodec(KEY, "session").seal("session", data)))["age"] == NOW
