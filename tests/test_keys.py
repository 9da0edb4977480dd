"""Secrets: what is accepted, what is derived, and when a key seals and opens."""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_wsgi import (
    ConfigError,
    CookieStore,
    DecodeError,
    Key,
    KeyRing,
    MemoryStore,
    SignedCodec,
    UsageError,
)
from sessions_wsgi.keys import _refuse_no_keys

PROPERTY = settings(deadline=None, derandomize=True, database=None)
VECTORS = json.loads((Path(__file__).parent / "vectors" / "keys.json").read_text("utf-8"))

NEW = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
OLD = "b7Qm2Xc9-Lk4Tz8Rf1Vn6Yw3Hs5Jd0Pg_UaEiOoCrBt"
OLDEST = "Zt5Lw8Hq1-Xn4Ks7Vd0Rb3Mj6Gf9Pc2_yUiAeOoTvBk"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def secrets_of(keys: Any) -> list[bytes]:
    return [key.secret for key in KeyRing(keys)]


def hkdf(secret: bytes, label: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256 and no salt, for at most one block."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, label + b"\1", "sha256")[:length]


def openers(keys: Any, now: float) -> list[str]:
    """Those of the known secrets whose texts a ring opens at this time."""
    found, codec = [], SignedCodec(keys, "test", clock=lambda: now)
    for secret in NEW, OLD, OLDEST:
        try:
            codec.open("name", SignedCodec(secret, "test").seal("name", b"data"))
        except DecodeError:
            continue
        found.append(secret)
    return found


def sealer(keys: Any, now: float) -> str:
    """The one of the known secrets that opens what a ring seals at this time."""
    text = SignedCodec(keys, "test", clock=lambda: now).seal("name", b"data")
    for secret in NEW, OLD, OLDEST:
        try:
            SignedCodec(secret, "test").open("name", text)
        except DecodeError:
            continue
        return secret
    raise AssertionError("none of the known secrets")


# What passes for a key and is none


@pytest.mark.parametrize("between", [",", ";", ", ", " ,", "; "])
def test_keys_are_separated_by_blanks_only(between: str) -> None:
    """Else both together would be a key, and what the old one sealed would be lost."""
    with pytest.raises(ConfigError, match=f"by blanks, not by '{between.strip()}'") as caught:
        KeyRing(f"{NEW}{between}{OLD}")
    assert NEW not in str(caught.value)


def test_a_key_with_blanks_is_told_to_be_several() -> None:
    with pytest.raises(ConfigError, match=r"\(got 7\).*\(blanks separate keys: this text holds 6\)$"):
        KeyRing("correct horse battery staple no key")


def test_a_comma_inside_a_key_is_a_letter() -> None:
    assert secrets_of("pass,phrase;of-M4ny-L3tters+And-More") == [b"pass,phrase;of-M4ny-L3tters+And-More"]


@pytest.mark.parametrize("text", [f'"{NEW}"', f"'{NEW}'", f'"{NEW} {OLD}"', f"{OLD} '{NEW}'", f' "{NEW}"\n'])
def test_quotes_of_an_env_file_are_no_part_of_a_key(text: str) -> None:
    with pytest.raises(ConfigError, match="'keys' must not stand in quotes"):
        KeyRing(text)


@pytest.mark.parametrize(
    "path",
    [
        "/run/secrets/session_keys",
        "/var/lib/shop/production/secrets/session-keys.txt",
        "/Users/ada/Projects/shop/config/SESSION_KEYS",
        "./config/of/the/shop/and/its/secrets/KEYS.txt",
        "../keys",
        "~/keys",
    ],
)
def test_the_path_of_a_file_is_no_key(path: str) -> None:
    with pytest.raises(ConfigError, match="the keys themselves, not a file's path"):
        KeyRing(path)


def test_a_file_that_is_there_is_no_key(tmp_path: Path) -> None:
    file = tmp_path / "Keys+Of+My+Shop+In+Many+Letters"
    file.write_text(NEW)
    with pytest.raises(ConfigError, match="not a file's path"):
        KeyRing(str(file))


@pytest.mark.parametrize(
    "key",
    [
        "/kJ3x0Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6XuEaKtiWvo=",
        "/3kxaVq8/bT5nYw2Rs7/f9Gh1Md4Pc6XuEaKtiWvo+o=",
        "/var/q8ZbT5nYw2Rs7/f9Gh1Md4Pc6XuEaKtiWvo+ol=",
        "3kx/Vq8Zb/5nYw2Rs7Lf9Gh1/d4Pc6XuEaKtiWvo+o/=",
    ],
)
def test_keys_of_base64_may_hold_and_begin_with_a_slash(key: str) -> None:
    assert secrets_of(key) == [key.encode()]


@PROPERTY
@given(st.binary(min_size=32, max_size=32))
def test_a_random_key_of_base64_is_never_taken_for_something_else(raw: bytes) -> None:
    _refuse_no_keys(base64.b64encode(b"\xff" + raw).decode())
    _refuse_no_keys(base64.b64encode(raw).decode())


# What makes a ring


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (NEW, [NEW]),
        (f"{NEW} {OLD}", [NEW, OLD]),
        (f"  {NEW}\n\t{OLD}\r\n{OLDEST} ", [NEW, OLD, OLDEST]),
        ([NEW, OLD], [NEW, OLD]),
        ((NEW, OLD.encode()), [NEW, OLD]),
        ([f"{NEW} {OLD}", OLDEST], [NEW, OLD, OLDEST]),
        (Key(NEW), [NEW]),
        ([Key(NEW), OLD], [NEW, OLD]),
        (NEW.encode(), [NEW]),
        (bytearray(NEW.encode()), [NEW]),
        (KeyRing([NEW, OLD]), [NEW, OLD]),
    ],
)
def test_one_or_many_become_a_ring_in_the_same_order(keys: Any, expected: list[str]) -> None:
    assert secrets_of(keys) == [secret.encode() for secret in expected]


def test_bytes_are_never_split() -> None:
    secret = f"{NEW} {OLD}\n".encode()
    assert secrets_of(secret) == [secret]
    assert secrets_of([secret]) == [secret]


def test_a_key_of_text_keeps_its_white_space() -> None:
    assert Key(f"{NEW} {OLD}").secret == f"{NEW} {OLD}".encode()


def test_text_is_its_utf_8_bytes_and_never_decoded() -> None:
    """Neither hexadecimal digits nor base64 are taken for what they stand for."""
    raw = os.urandom(32)
    for text in raw.hex(), base64.b64encode(raw).decode(), "Zwölf-Boxkämpfer-jagen-Viktor-quer":
        assert secrets_of(text) == [text.encode()]


def test_a_ring_is_taken_as_it_is() -> None:
    ring = KeyRing(NEW)
    assert KeyRing.of(ring) is ring
    assert list(KeyRing.of(NEW)) == list(ring)


def test_a_ring_tells_its_length_and_keys() -> None:
    ring = KeyRing([NEW, OLD])
    assert len(ring) == 2
    assert list(ring) == [Key(NEW), Key(OLD)]


def test_a_text_taken_apart_into_characters_is_refused() -> None:
    """`list(secret)` is a mistake that must not make a ring of one-byte keys."""
    with pytest.raises(ConfigError, match="at least 32 bytes"):
        KeyRing(list(NEW))


@pytest.mark.parametrize("keys", ["", "  \n", b"", [], (), [""], ["", " "], [b""]])
def test_no_key_is_refused(keys: Any) -> None:
    with pytest.raises(ConfigError):
        KeyRing(keys)


@pytest.mark.parametrize("keys", ["", " ", [], [" "]])
def test_an_empty_ring_is_told_how_to_make_a_key(keys: Any) -> None:
    with pytest.raises(ConfigError, match="keygen") as caught:
        KeyRing(keys)
    assert caught.value.option == "keys"


@pytest.mark.parametrize(
    "keys",
    [
        None,
        7,
        object(),
        {NEW: OLD},
        {NEW},
        iter([NEW]),
        [[NEW]],
        [None],
        [NEW, 7],
        list(NEW.encode()),
        [KeyRing(NEW)],
        memoryview(NEW.encode()),
    ],
    ids=lambda keys: type(keys).__name__,
)
def test_anything_else_is_refused(keys: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        KeyRing(keys)
    assert caught.value.option == "keys"


@pytest.mark.parametrize(
    "keys",
    [
        f"{NEW} {NEW}",
        [NEW, NEW.encode()],
        [NEW, OLD, NEW],
        [Key(NEW), Key(NEW, not_before=NOON)],
    ],
)
def test_the_same_key_twice_is_refused(keys: Any) -> None:
    with pytest.raises(ConfigError, match="twice") as caught:
        KeyRing(keys)
    assert caught.value.option == "keys"


# What makes a secret


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "x",
        "short",
        NEW[:31],
        NEW.encode()[:31],
        "ö" * 15,
        "a" * 32,
        "0" * 64,
        b"\0" * 32,
        b"\xff" * 64,
        "ab" * 16,
        "abc" * 11,
        "abcabca" * 5,
        "secret" * 8,
        "12345678" * 4,
        "0123456789" * 4,
        "abcdefghijklmnop" * 2,
        NEW[:20] * 2,
        bytes(range(16)) * 2,
        b"\1\2\3\4\5\6\7" * 6,
        "1111111122222222333333334444444455555555",
        "change-me-change-me-change-me-change-me-now",
        "changeme" * 4,
        "this-is-a-secret-key-change-me-in-production",
        "please-change-this-secret-key-before-production!",
        "your-secret-key-here-please-replace-this-one",
        "YOUR_SUPER_SECRET_KEY_HERE_CHANGE_ME_PLEASE",
        "django-insecure-secret-key-for-development",
        "default-session-secret-for-testing-only-do-not-use",
        "password password password secret secret",
        "insecure-development-only-signing-key-example",
    ],
)
def test_a_weak_secret_is_refused_with_a_hint(secret: str | bytes) -> None:
    """Short, repetitive, or a text that people leave in place of a secret (OWASP ASVS 13.3)."""
    with pytest.raises(ConfigError, match="sessions-wsgi keygen") as caught:
        Key(secret)
    assert caught.value.option == "secret"


@pytest.mark.parametrize(
    "keys",
    [
        "short",
        b"short",
        bytearray(b"short"),
        f"{NEW} short",
        [NEW, "short"],
        [NEW, b"short"],
        ["\udcff" + NEW],
    ],
    ids=repr,
)
def test_a_ring_names_the_option_that_the_secret_was_given_as(keys: Any) -> None:
    with pytest.raises(ConfigError, match=r"^each of 'keys' must") as caught:
        KeyRing(keys)
    assert caught.value.option == "keys"
    assert NEW not in repr(caught.value)


@pytest.mark.parametrize("secret", [None, 7, ["x"], bytearray(NEW.encode()), memoryview(NEW.encode())])
def test_a_secret_is_text_or_bytes(secret: Any) -> None:
    with pytest.raises(ConfigError, match="str or bytes"):
        Key(secret)


@pytest.mark.parametrize("secret", ["\udcff" + NEW, NEW + "\ud800"])
def test_text_without_utf_8_is_a_config_error(secret: str) -> None:
    """An environment variable that is no UTF-8 arrives as lone surrogates."""
    with pytest.raises(ConfigError) as caught:
        Key(secret)
    assert NEW not in repr(caught.value)


@pytest.mark.parametrize("secret", ["Tr0ub4dor&3", "Tr0ub4dor" * 5, b"Tr0ub4dor", b"\xffTr0ub4dor"])
def test_no_message_shows_a_refused_secret(secret: str | bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        Key(secret)
    assert "Tr0ub4dor" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("length", [32, 33, 64, 256])
def test_a_secret_may_have_32_bytes_or_more(length: int) -> None:
    assert len(Key(bytes(range(length))).secret) == length


def test_bytes_count_and_not_characters() -> None:
    assert Key("äöüÄÖÜéèêàáâñçßø").secret == "äöüÄÖÜéèêàáâñçßø".encode()


@settings(PROPERTY, max_examples=200)
@given(st.binary(min_size=32, max_size=32).filter(lambda raw: len(set(raw)) > 20))
def test_what_random_generators_give_is_never_refused(raw: bytes) -> None:
    """`token_bytes(32)`, `token_hex(32)`, `token_urlsafe(32)`, and half as much in hexadecimal digits."""
    for secret in raw, raw.hex(), base64.urlsafe_b64encode(raw).decode().rstrip("="):
        assert Key(secret).secret
    assert KeyRing(f"{raw.hex()} {raw[::-1].hex()}").keys


def test_random_secrets_are_never_refused() -> None:
    """The generators themselves, often enough to notice a rule that is too broad by one in a thousand."""
    for make in secrets.token_bytes, secrets.token_hex, secrets.token_urlsafe:
        for _ in range(1000):
            Key(make(32))


# What is derived


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda vector: vector["id"])
def test_derivation_is_as_it_was(vector: dict[str, str]) -> None:
    """The committed vectors: cookies outlive releases."""
    key = Key(vector["text"] if "text" in vector else bytes.fromhex(vector["hex"]))
    derived = {"signing": key.signing, "encryption": key.encryption, "id": key.id}
    assert {name: value.hex() for name, value in derived.items()} == {name: vector[name] for name in derived}


@PROPERTY
@given(st.binary(min_size=32, max_size=100).filter(lambda raw: len(set(raw)) > 20))
def test_derivation_is_hkdf(secret: bytes) -> None:
    key = Key(secret)
    assert key.signing == hkdf(secret, b"sessions_wsgi/key/signing/1", 32)
    assert key.encryption == hkdf(secret, b"sessions_wsgi/key/encryption/1", 32)
    assert key.id == hkdf(secret, b"sessions_wsgi/key/id/1", 4)


def test_dates_do_not_change_what_is_derived() -> None:
    dated = Key(NEW, not_before=NOON, accept_until=NOON + timedelta(days=1))
    assert (dated.signing, dated.encryption, dated.id) == (Key(NEW).signing, Key(NEW).encryption, Key(NEW).id)


def test_generated_keys_differ_and_can_be_kept_as_text() -> None:
    one, two = Key.generate(), Key.generate()
    assert one != two
    assert one.id != two.id
    text = one.secret.decode()
    assert len(text) == 43
    assert not set(text) & set(" \t\n=")
    assert Key(text) == one
    assert KeyRing(f"{text} {two.secret.decode()}").keys == (one, two)


def test_generated_keys_take_dates() -> None:
    key = Key.generate(not_before=NOON, accept_until=NOON + timedelta(days=1))
    assert (key.not_before, key.accept_until) == (NOON, NOON + timedelta(days=1))


# Passphrases


@pytest.mark.parametrize("vector", VECTORS["passphrases"], ids=lambda vector: vector["id"])
def test_a_passphrase_is_stretched_as_it_was(vector: dict[str, str]) -> None:
    """scrypt with n = 2^17, r = 8, p = 1: about half a second, so dates are looked at here, too."""
    key = Key.from_passphrase(vector["text"], bytes.fromhex(vector["salt"]), not_before=NOON)
    assert (key.secret.decode(), key.id.hex()) == (vector["secret"], vector["id"])
    assert (key.not_before, key.accept_until) == (NOON, None)


@pytest.mark.parametrize(
    ("text", "salt", "option"),
    [
        ("correct horse", b"", "salt"),
        ("correct horse", b"s" * 15, "salt"),
        ("correct horse", "a text of enough characters", "salt"),
        ("", b"s" * 16, "text"),
    ],
)
def test_a_passphrase_needs_a_text_and_a_salt(text: Any, salt: Any, option: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Key.from_passphrase(text, salt)
    assert caught.value.option == option


# Dates


@pytest.mark.parametrize("option", ["not_before", "accept_until"])
@pytest.mark.parametrize("date", [NOON.replace(tzinfo=None), 1_800_000_000, "2026-03-01", NOON.date()])
def test_dates_are_aware_datetimes(option: str, date: Any) -> None:
    with pytest.raises(ConfigError, match="aware") as caught:
        Key(NEW, **{option: date})
    assert caught.value.option == option


@pytest.mark.parametrize("until", [NOON, NOON - timedelta(microseconds=1), NOON - timedelta(days=9)])
def test_a_key_that_ends_before_it_begins_is_refused(until: datetime) -> None:
    with pytest.raises(ConfigError) as caught:
        Key(NEW, not_before=NOON, accept_until=until)
    assert caught.value.option == "accept_until"


def test_a_date_is_a_moment_in_any_time_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-7)))
    assert Key(NEW, not_before=elsewhere).seals_from == NOON.timestamp()


DATED = [
    Key(NEW, not_before=NOON),
    Key(OLD, accept_until=NOON + timedelta(hours=1)),
    Key(OLDEST, not_before=NOON - timedelta(days=2), accept_until=NOON - timedelta(hours=1)),
]


@pytest.mark.parametrize(
    ("hours", "sealing", "opening"),
    [
        (-72.0, OLD, [NEW, OLD, OLDEST]),
        (-2.0, OLD, [NEW, OLD, OLDEST]),
        (-1.0, OLD, [NEW, OLD]),
        (-0.001, OLD, [NEW, OLD]),
        (0.0, NEW, [NEW, OLD]),
        (0.999, NEW, [NEW, OLD]),
        (1.0, NEW, [NEW]),
        (9999.0, NEW, [NEW]),
    ],
)
def test_the_newest_that_may_seals_and_all_but_the_ended_open(
    hours: float, sealing: str, opening: list[str]
) -> None:
    """`not_before` is the first moment of sealing, `accept_until` the first of opening nothing."""
    now = NOON.timestamp() + hours * 3600
    assert sealer(DATED, now) == sealing
    assert openers(DATED, now) == opening


def test_the_order_is_the_ring_s_and_not_that_of_the_dates() -> None:
    early, late = Key(NEW, not_before=NOON), Key(OLD, not_before=NOON + timedelta(days=1))
    now = NOON.timestamp() + 10 * 86400
    assert sealer([early, late], now) == NEW
    assert sealer([late, early], now) == OLD


def test_a_ring_without_dates_always_seals_with_the_first() -> None:
    for now in 0.0, NOON.timestamp(), 1e11:
        assert sealer([NEW, OLD], now) == NEW
        assert openers([NEW, OLD], now) == [NEW, OLD]


def test_nothing_seals_before_the_first_key_is_active() -> None:
    """It opens already, so that the whole fleet can learn it first."""
    young, now = [Key(NEW, not_before=NOON)], NOON.timestamp() - 1
    assert openers(young, now) == [NEW]
    with pytest.raises(UsageError, match="not_before"):
        sealer(young, now)


@pytest.mark.parametrize(
    "make",
    [
        lambda keys, clock: SignedCodec(keys, "x", clock=clock),
        lambda keys, clock: CookieStore(keys, clock=clock),
        lambda keys, clock: CookieStore(keys, encrypt=True, clock=clock),
        lambda keys, clock: MemoryStore(keys, clock=clock),
    ],
)
def test_a_ring_that_can_never_seal_again_is_refused_at_once(make: Callable[..., object]) -> None:
    """While the application starts, and naming the option."""
    ended = [Key(NEW, accept_until=NOON), Key(OLD, accept_until=NOON - timedelta(days=1))]
    make(ended, lambda: NOON.timestamp() - 1)
    with pytest.raises(ConfigError, match="accept_until") as caught:
        make(ended, lambda: NOON.timestamp())
    assert caught.value.option == "keys"


# Nothing shows a secret


@pytest.mark.parametrize("secret", [NEW, NEW.encode(), bytes(range(32))])
@pytest.mark.parametrize("dates", [{}, {"not_before": NOON}, {"accept_until": NOON}])
def test_no_repr_shows_a_secret_or_what_was_derived(secret: str | bytes, dates: dict[str, datetime]) -> None:
    key = Key(secret, **dates)
    ring = KeyRing([key, OLD])
    shown = f"{key!r} {key} {ring!r} {ring} {[key]} {SignedCodec(ring, 'x', clock=lambda: 0.0)!r}"
    for hidden in key.secret, key.signing, key.encryption:
        assert hidden.decode("latin-1") not in shown
        assert hidden.hex() not in shown
        assert repr(hidden)[2:-1] not in shown
    assert OLD not in shown
    assert key.id.hex() in shown


def test_repr_shows_the_dates() -> None:
    shown = repr(Key(NEW, not_before=NOON, accept_until=NOON + timedelta(days=1)))
    assert "2026-03-01" in shown
    assert "2026-03-02" in shown


def test_keys_compare_by_secret_and_dates() -> None:
    assert Key(NEW) == Key(NEW.encode())
    assert hash(Key(NEW)) == hash(Key(NEW.encode()))
    assert Key(NEW) != Key(OLD)
    assert Key(NEW) != Key(NEW, not_before=NOON)
    assert Key(NEW) != NEW
