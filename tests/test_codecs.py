"""Texts that a browser keeps: what they look like, who opens them, and all that is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import BadSignature, Signer

from sessions_wsgi import ConfigError, DecodeError, EncryptedCodec, Key, KeyRing, SignedCodec, UsageError
from sessions_wsgi.testing import ManualClock

PROPERTY = settings(deadline=None, derandomize=True, database=None)
FOLDER = Path(__file__).parent / "vectors"

NEW = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
OLD = "b7Qm2Xc9-Lk4Tz8Rf1Vn6Yw3Hs5Jd0Pg_UaEiOoCrBt"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE64URL = string.ascii_letters + string.digits + "-_"

Codec = SignedCodec | EncryptedCodec
CODECS: dict[str, type[Codec]] = {"signed": SignedCodec, "encrypted": EncryptedCodec}
both = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
surrogates = st.text(st.characters(), max_size=200)


def load(file: str) -> dict[str, Any]:
    """A file of committed vectors."""
    return json.loads((FOLDER / file).read_text("utf-8"))


def vectors(part: str) -> list[Any]:
    """Each committed vector with its codec."""
    return [
        pytest.param(kind, vector, id=f"{name}-{number}")
        for name, kind in CODECS.items()
        for number, vector in enumerate(load(f"{name}.json")[part])
    ]


def refused() -> list[Any]:
    """Each committed text that must not open, with its codec and what it was made from."""
    return [
        pytest.param(kind, listed, entry, id=f"{name}-{entry['what']}")
        for name, kind in CODECS.items()
        for listed in [load(f"{name}.json")["refused"]]
        for entry in listed["texts"]
    ]


def stock_signer(keys: Any, purpose: str, audience: str, name: str) -> Signer:
    """What `itsdangerous` itself makes of our documented parameters."""
    salt = "\0".join(["sessions_wsgi/signed/1", purpose, audience, name])
    return Signer(
        Key(keys).signing, salt=salt.encode(), sep=".", key_derivation="hmac", digest_method=hashlib.sha256
    )


def base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def reason(codec: Codec, text: str, name: str = "name") -> str:
    """Why a codec refuses this text."""
    with pytest.raises(DecodeError) as caught:
        codec.open(name, text)
    return caught.value.reason


# Texts


@both
@PROPERTY
@given(name=names, purpose=names, audience=names, data=st.binary())
def test_what_was_sealed_opens(
    codec: type[Codec], name: str, purpose: str, audience: str, data: bytes
) -> None:
    sealed = codec(NEW, purpose, audience=audience).seal(name, data)
    assert codec(NEW, purpose, audience=audience).open(name, sealed) == data


@both
@pytest.mark.parametrize("size", [0, 1, 2, 3, 100, 3000, 1_000_000])
def test_any_amount_of_data_is_kept(codec: type[Codec], size: int) -> None:
    data = hashlib.shake_128(b"data").digest(size)
    assert codec(NEW, "value").open("name", codec(NEW, "value").seal("name", data)) == data


@both
@pytest.mark.parametrize("size", range(9))
def test_texts_need_no_quoting_in_a_cookie(codec: type[Codec], size: int) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", codec(NEW, "value").seal("name", b"\xff" * size))


def test_sizes_are_as_documented() -> None:
    """Signed: 44 characters over the data's base64url; encrypted: 45 bytes over the data."""
    for size in range(100):
        data = bytes(size)
        assert len(SignedCodec(NEW, "value").seal("name", data)) == len(base64url(data)) + 44
        assert len(EncryptedCodec(NEW, "value").seal("name", data)) == -(-4 * (size + 45) // 3)


def test_a_signed_text_is_always_the_same_and_can_be_read() -> None:
    codec = SignedCodec(NEW, "value")
    assert codec.seal("name", b"data") == codec.seal("name", b"data")
    assert codec.seal("name", b"data").startswith(base64url(b"data").decode())


def test_an_encrypted_text_never_comes_twice_and_shows_nothing() -> None:
    codec = EncryptedCodec(NEW, "value")
    sealed = [codec.seal("name", b"data") for _ in range(100)]
    assert len({text[8:] for text in sealed}) == 100
    raw = [base64.urlsafe_b64decode(text + "==") for text in sealed]
    assert {octets[:5] for octets in raw} == {b"\1" + Key(NEW).id}
    assert len({octets[5:29] for octets in raw}) == 100
    assert not any(b"data" in octets for octets in raw)


@both
@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256))])
def test_one_s_own_values_can_be_sealed(codec: type[Codec], data: bytes) -> None:
    """What securecookie is to gorilla: a codec alone, with a ring, a list of keys or one text."""
    for keys in NEW, NEW.encode(), Key(NEW), KeyRing(NEW), [NEW, OLD], f"{NEW} {OLD}":
        assert codec(NEW, "invitation").open("mail", codec(keys, "invitation").seal("mail", data)) == data


# Signed texts are those of itsdangerous


@PROPERTY
@given(purpose=names, audience=names, name=names, data=st.binary())
def test_stock_itsdangerous_makes_the_very_same_text(
    purpose: str, audience: str, name: str, data: bytes
) -> None:
    theirs = stock_signer(NEW, purpose, audience, name).sign(base64url(data)).decode()
    ours = SignedCodec(NEW, purpose, audience=audience)
    assert ours.seal(name, data) == theirs
    assert ours.open(name, theirs) == data


@PROPERTY
@given(purpose=names, audience=names, name=names, data=st.binary())
def test_stock_itsdangerous_verifies_ours(purpose: str, audience: str, name: str, data: bytes) -> None:
    text = SignedCodec(NEW, purpose, audience=audience).seal(name, data)
    assert stock_signer(NEW, purpose, audience, name).unsign(text) == base64url(data)
    with pytest.raises(BadSignature):
        stock_signer(OLD, purpose, audience, name).unsign(text)
    with pytest.raises(BadSignature):
        stock_signer(NEW, purpose + "!", audience, name).unsign(text)


# Committed texts


@pytest.mark.parametrize(("codec", "vector"), vectors("opens"))
def test_committed_text_opens_for_ever(codec: type[Codec], vector: dict[str, str]) -> None:
    opened = codec(vector["secret"], vector["purpose"], audience=vector["audience"])
    assert opened.open(vector["name"], vector["text"]).hex() == vector["data"]


@pytest.mark.parametrize("vector", load("signed.json")["opens"], ids=lambda vector: vector["name"])
def test_committed_signed_text_is_still_made(vector: dict[str, str]) -> None:
    codec = SignedCodec(vector["secret"], vector["purpose"], audience=vector["audience"])
    assert codec.seal(vector["name"], bytes.fromhex(vector["data"])) == vector["text"]


@pytest.mark.parametrize("vector", load("encrypted.json")["opens"], ids=lambda vector: vector["name"])
def test_committed_encrypted_text_is_still_made(vector: dict[str, str], monkeypatch: Any) -> None:
    """The one random part is the nonce; with the vector's it must be the vector's text."""
    monkeypatch.setattr("os.urandom", lambda count: bytes.fromhex(vector["nonce"])[:count])
    codec = EncryptedCodec(vector["secret"], vector["purpose"], audience=vector["audience"])
    assert codec.seal(vector["name"], bytes.fromhex(vector["data"])) == vector["text"]


@pytest.mark.parametrize(("codec", "listed", "entry"), refused())
def test_committed_text_is_refused(codec: type[Codec], listed: dict[str, str], entry: dict[str, str]) -> None:
    strict = codec(listed["secret"], listed["purpose"], audience=listed["audience"])
    assert reason(strict, entry["text"], listed["name"]) == entry["reason"]


# What is refused


@both
@pytest.mark.parametrize("data", [b"", b"x", b"ab", b"abc", b"four"])
def test_every_change_of_one_character_is_refused(codec: type[Codec], data: bytes) -> None:
    """Any character, at any place: the unused bits of the last one included."""
    opened = codec(NEW, "value")
    text = opened.seal("name", data)
    for at in range(len(text)):
        for other in BASE64URL + ".=+/ \t\n\0~é":
            if other != text[at]:
                assert reason(opened, text[:at] + other + text[at + 1 :]) in (
                    "malformed",
                    "forged",
                    "unknown_key",
                )


@both
@pytest.mark.parametrize("size", range(4))
def test_every_part_of_a_text_is_refused(codec: type[Codec], size: int) -> None:
    """Cut at the front, at the end, or with one character taken out."""
    opened = codec(NEW, "value")
    text = opened.seal("name", b"d" * size)
    for at in range(len(text)):
        for part in text[:at], text[at + 1 :], text[:at] + text[at + 1 :]:
            assert reason(opened, part)


@both
@pytest.mark.parametrize("size", range(4))
@pytest.mark.parametrize(
    "around",
    [
        " {}",
        "{} ",
        "\t{}",
        "{}\n",
        "{}\r\n",
        "\u00a0{}",
        "{}\u2003",
        '"{}"',
        "'{}'",
        "{}=",
        "{}==",
        "{}===",
        "{}A",
        "A{}",
        "{}.",
        ".{}",
        "{0}{0}",
        "{0}.{0}",
        "{},{}",
        "{}\0",
        "\ufeff{}",
        "{}%3D",
    ],
)
def test_anything_around_a_text_is_refused(codec: type[Codec], size: int, around: str) -> None:
    opened = codec(NEW, "value")
    text = opened.seal("name", b"d" * size)
    assert reason(opened, around.format(text, text)) in ("malformed", "forged", "unknown_key")


@pytest.mark.parametrize("size", range(1, 7))
def test_an_encrypted_text_is_never_padded(size: int) -> None:
    """One session has one text: whoever keeps a list of texts must not meet a second spelling."""
    codec = EncryptedCodec(NEW, "value")
    text = codec.seal("name", b"d" * size)
    assert codec.open("name", text) == b"d" * size
    for padding in "=", "==", "===":
        assert reason(codec, text + padding) == "malformed"


@both
def test_another_use_is_refused(codec: type[Codec]) -> None:
    """Name, purpose, audience and key: a text for one never serves another (OWASP ASVS 9.2.2)."""
    text = codec(NEW, "session", audience="shop").seal("__Host-name", b"data")
    others = [
        (codec(NEW, "session", audience="shop"), "name"),
        (codec(NEW, "session", audience="shop"), "__host-name"),
        (codec(NEW, "session", audience="shop"), ""),
        (codec(NEW, "id", audience="shop"), "__Host-name"),
        (codec(NEW, "session"), "__Host-name"),
        (codec(NEW, "session", audience="Shop"), "__Host-name"),
    ]
    assert {reason(other, text, name) for other, name in others} == {"forged"}
    stranger = reason(codec(OLD, "session", audience="shop"), text, "__Host-name")
    assert stranger == {SignedCodec: "forged", EncryptedCodec: "unknown_key"}[codec]


@both
@PROPERTY
@given(mine=st.tuples(names, names, names), theirs=st.tuples(names, names, names))
def test_no_two_uses_are_the_same(
    codec: type[Codec], mine: tuple[str, str, str], theirs: tuple[str, str, str]
) -> None:
    """Wherever the borders between purpose, audience and name are."""
    text = codec(NEW, mine[0], audience=mine[1]).seal(mine[2], b"data")
    other = codec(NEW, theirs[0], audience=theirs[1])
    if mine == theirs:
        assert other.open(theirs[2], text) == b"data"
    else:
        assert reason(other, text, theirs[2]) == "forged"


@both
@pytest.mark.parametrize("cut", range(7))
def test_moving_the_border_between_parts_is_another_use(codec: type[Codec], cut: int) -> None:
    whole = "session"
    text = codec(NEW, whole[:cut], audience=whole[cut:]).seal("x", b"data")
    assert reason(codec(NEW, whole[: cut + 1], audience=whole[cut + 1 :]), text, "x") == "forged"
    assert reason(codec(NEW, whole[:cut], audience=whole[cut:] + "x"), text, "") == "forged"


def test_neither_codec_reads_the_other_s_texts() -> None:
    """The mode is configured, and never told by the text (CVE-2026-39324)."""
    signed, encrypted = SignedCodec(NEW, "session"), EncryptedCodec(NEW, "session")
    for data in b"", b"data", b"\1" + Key(NEW).id + bytes(60):
        assert reason(signed, encrypted.seal("name", data)) == "malformed"
        assert reason(encrypted, signed.seal("name", data)) in ("malformed", "forged")


@pytest.mark.parametrize("version", [0, 2, 3, 127, 128, 255])
def test_another_version_is_refused(version: int) -> None:
    codec = EncryptedCodec(NEW, "value")
    raw = base64.urlsafe_b64decode(codec.seal("name", b"data12"))
    assert reason(codec, base64url(bytes([version]) + raw[1:]).decode()) == "malformed"


def test_a_key_that_is_not_in_the_ring_is_told_from_a_forgery() -> None:
    codec = EncryptedCodec([NEW, OLD], "value")
    raw = base64.urlsafe_b64decode(codec.seal("name", b"data12"))
    assert reason(codec, base64url(raw[:1] + b"\0\0\0\0" + raw[5:]).decode()) == "unknown_key"
    assert reason(codec, base64url(raw[:1] + Key(OLD).id + raw[5:]).decode()) == "forged"


@both
@settings(PROPERTY, max_examples=150)
@given(
    text=surrogates
    | st.text(BASE64URL + ".", min_size=40, max_size=200)
    | st.binary(max_size=100).map(lambda raw: base64url(b"\1" + Key(NEW).id + raw).decode())
    | st.text(BASE64URL, min_size=43, max_size=43).map(lambda signature: f"{'A' * 20}.{signature}")
)
def test_random_text_raises_nothing_but_decode_errors(codec: type[Codec], text: str) -> None:
    assert reason(codec([NEW, OLD], "value"), text) in ("malformed", "forged", "unknown_key")


@both
@settings(PROPERTY, max_examples=150)
@given(data=st.data(), size=st.integers(0, 9))
def test_mutated_text_raises_nothing_but_decode_errors(
    codec: type[Codec], data: st.DataObject, size: int
) -> None:
    """A slice of a good text replaced by anything."""
    opened = codec(NEW, "value")
    text = opened.seal("name", bytes(size))
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    mutated = text[:start] + data.draw(st.text(max_size=8) | st.text(BASE64URL + ".=", max_size=8))
    mutated += text[stop:]
    if mutated != text:
        assert reason(opened, mutated) in ("malformed", "forged", "unknown_key")


@both
def test_no_error_shows_the_text(codec: type[Codec]) -> None:
    text = codec(OLD, "value").seal("name", b"data")
    with pytest.raises(DecodeError) as caught:
        codec(NEW, "value").open("name", text)
    assert text[:8] not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None


# Rotation


@both
def test_the_newest_key_seals_and_the_older_open(codec: type[Codec]) -> None:
    old, ring, new = codec(OLD, "value"), codec([NEW, OLD], "value"), codec(NEW, "value")
    assert ring.open("name", old.seal("name", b"data")) == b"data"
    assert new.open("name", ring.seal("name", b"data")) == b"data"
    assert reason(old, ring.seal("name", b"data")) in ("forged", "unknown_key")


@both
def test_what_an_older_key_opened_is_not_fresh(codec: type[Codec]) -> None:
    """So that the store seals it anew on that response."""
    ring = codec([NEW, OLD], "value")
    assert tuple(ring.open_at("name", codec(NEW, "value").seal("name", b"data"), 0.0)) == (b"data", True)
    assert tuple(ring.open_at("name", codec(OLD, "value").seal("name", b"data"), 0.0)) == (b"data", False)


@both
def test_a_removed_key_opens_nothing(codec: type[Codec]) -> None:
    text = codec(OLD, "value").seal("name", b"data")
    assert reason(codec(NEW, "value"), text) in ("forged", "unknown_key")


@both
def test_a_key_that_is_not_active_yet_opens_but_does_not_seal(codec: type[Codec]) -> None:
    """The rest of the fleet may seal with it already; the text is sealed anew by the key that seals here."""
    clock = ManualClock(NOON.timestamp() - 1)
    ring = codec([Key(NEW, not_before=NOON), OLD], "value", clock=clock)
    ahead = codec(NEW, "value").seal("name", b"data")
    assert tuple(ring.open_at("name", ahead, clock())) == (b"data", False)
    assert codec(OLD, "value").open("name", ring.seal("name", b"data")) == b"data"
    clock.advance(1)
    assert tuple(ring.open_at("name", ahead, clock())) == (b"data", True)
    assert codec(NEW, "value").open("name", ring.seal("name", b"data")) == b"data"


@both
def test_an_ended_key_opens_nothing_from_that_moment(codec: type[Codec]) -> None:
    clock = ManualClock(NOON.timestamp() - 0.001)
    ring = codec([NEW, Key(OLD, accept_until=NOON)], "value", clock=clock)
    text = codec(OLD, "value").seal("name", b"data")
    assert ring.open("name", text) == b"data"
    clock.advance(0.001)
    assert reason(ring, text) == {SignedCodec: "forged", EncryptedCodec: "unknown_key"}[codec]


@both
def test_a_ring_may_end_while_the_process_runs(codec: type[Codec]) -> None:
    """Then nothing is sealed with a key that nobody would accept."""
    clock = ManualClock(NOON.timestamp() - 1)
    ring = codec(Key(NEW, accept_until=NOON), "value", clock=clock)
    assert ring.open("name", ring.seal("name", b"data")) == b"data"
    clock.advance(2)
    with pytest.raises(UsageError, match="may seal"):
        ring.seal("name", b"data")


@both
def test_an_older_key_seals_until_its_successor_is_active(codec: type[Codec]) -> None:
    clock = ManualClock(NOON.timestamp() - 3600)
    keys = [Key(NEW, not_before=NOON), Key(OLD, accept_until=NOON + timedelta(hours=1))]
    ring = codec(keys, "value", clock=clock)
    for sealing in OLD, NEW, NEW, NEW:
        assert codec(sealing, "value").open("name", ring.seal("name", b"data")) == b"data"
        clock.advance(3600)


# Options


@both
@pytest.mark.parametrize("option", ["purpose", "audience"])
@pytest.mark.parametrize("value", ["with\0NUL", "\0", None, 7, b"bytes"])
def test_purpose_and_audience_are_text_without_nul(codec: type[Codec], option: str, value: Any) -> None:
    """NUL stands between the parts of the salt."""
    options = {"purpose": "value", "audience": "", option: value}
    with pytest.raises(ConfigError) as caught:
        codec(NEW, options["purpose"], audience=options["audience"])
    assert caught.value.option == option


@both
@pytest.mark.parametrize("option", ["purpose", "audience"])
def test_purpose_and_audience_without_utf_8_are_refused_at_once(codec: type[Codec], option: str) -> None:
    options = {"purpose": "value", "audience": "", option: "\udcff"}
    with pytest.raises(ConfigError) as caught:
        codec(NEW, options["purpose"], audience=options["audience"])
    assert caught.value.option == option


@both
@pytest.mark.parametrize("name", ["with\0NUL", "\0", "name\0"])
def test_a_name_with_nul_is_refused(codec: type[Codec], name: str) -> None:
    """It could pass for another name and audience."""
    text = codec(NEW, "value").seal("name", b"data")
    with pytest.raises(ValueError, match="NUL"):
        codec(NEW, "value").seal(name, b"data")
    with pytest.raises(ValueError, match="NUL"):
        codec(NEW, "value").open(name, text)


@both
def test_any_number_of_names_may_be_used(codec: type[Codec]) -> None:
    """What is kept for each name is bounded; more names are as good."""
    opened = codec(NEW, "value")
    sealed = {f"name{number}": opened.seal(f"name{number}", b"%d" % number) for number in range(600)}
    for number, (name, text) in enumerate(sealed.items()):
        assert opened.open(name, text) == b"%d" % number


# Threads


@both
def test_any_thread_may_seal_and_open(codec: type[Codec]) -> None:
    """Contexts are made once and used by all: by many names and both keys at the same time."""
    ring, old, start = codec([NEW, OLD], "value"), codec(OLD, "value"), threading.Barrier(8)

    def work(thread: int) -> int:
        start.wait()
        good = 0
        for number in range(100):
            name, data = f"name{number % 7}", b"%d %d" % (thread, number)
            good += ring.open(name, ring.seal(name, data)) == data
            good += ring.open(name, old.seal(name, data)) == data
        return good

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [200] * 8


@both
def test_threads_may_use_more_names_than_are_kept(codec: type[Codec]) -> None:
    ring, start = codec([NEW, OLD], "value"), threading.Barrier(4)

    def work(thread: int) -> bool:
        start.wait()
        names = [f"{thread} {number}" for number in range(300)]
        return all(ring.open(name, ring.seal(name, b"data")) == b"data" for name in names)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
