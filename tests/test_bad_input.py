"""Whatever comes as a cookie, the application gets a usable session, and nobody else's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sessions_wsgi import (
    CBORSerializer,
    CookieOptions,
    CookieStore,
    EncryptedCodec,
    Lifetime,
    MemoryStore,
    SessionMiddleware,
    SignedCodec,
    get_session,
)

KINDS = ["cookie", "encrypted", "memory"]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

every_kind = pytest.mark.parametrize("kind", KINDS)


class Seen(NamedTuple):
    """What the application saw of its session."""

    rejected: str | None
    is_new: bool
    values: dict[Any, Any]


def looking(seen: list[Seen], then: Callable[[Any], Any] = lambda session: None) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        session = get_session(environ)
        seen.append(Seen(session.rejected, session.is_new, dict(session)))
        then(session)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x"]

    return app


def fill(session: Any) -> None:
    session["n"] = 1


@pytest.fixture
def look(visit: Any) -> Callable[..., Seen]:
    """What an application on this store sees when this Cookie header comes."""

    def look(store: Any, header: str | None) -> Seen:
        seen: list[Seen] = []
        more = {} if header is None else {"HTTP_COOKIE": header}
        reply = visit(SessionMiddleware(looking(seen), store)).get(**more)
        assert reply.status == "200 OK"
        assert reply.cookies == {}
        return seen[0]

    return look


@pytest.fixture
def good_text(visit: Any) -> Callable[..., str]:
    """The text of a cookie that this store just set for a session that holds n=1."""

    def make(store: Any, name: str = "session") -> str:
        def app(environ, start_response):
            fill(get_session(environ, name))
            start_response("200 OK", [("Content-Type", "text/plain")])
            return []

        reply = visit(SessionMiddleware(app, {name: store})).get()
        return reply.cookies[store.options.cookie_name(name)]

    return make


NEW = {"is_new": True, "values": {}}
LOADED = Seen(None, False, {"n": 1})


# Any header at all

KEY = "mB3vQk8sYwTz1LxHc6RfJp0dNg5aUe7iOq2WnVtCrXo"
NOW = 1_700_000_000
AT = {"clock": lambda: float(NOW)}
STORES = {
    "cookie": CookieStore(KEY, **AT),
    "encrypted": CookieStore(KEY, encrypt=True, **AT),
    "memory": MemoryStore(KEY),
    "sealed records": MemoryStore(KEY, encrypt=True),
    "prefixed": CookieStore(KEY, options=CookieOptions(prefix="__Host-"), **AT),
}
every_store = pytest.mark.parametrize("store", STORES.values(), ids=STORES)

pieces = st.sampled_from(
    [
        "session",
        "__Host-session",
        "=",
        ";",
        ",",
        " ",
        "\t",
        '"',
        "session=",
        "__Host-session=",
        "; ",
        ".",
        "%00",
    ]
)
base64ish = st.text(ALPHABET + ".=", max_size=120)
anything = st.text(max_size=60) | st.text(st.characters(max_codepoint=255), max_size=60)
header_texts = anything | st.lists(pieces | base64ish | anything, max_size=12).map("".join)


def opened(store: Any, header: str) -> Any:
    """The session of an application that is asked with this header, after it was used."""
    sessions: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        session = get_session(environ)
        sessions.append(session)
        told = session.created, session.last_seen, session.authenticated_at, session.principal, session.label
        assert len(told) == 5
        session.flash_items()
        session["n"] = session.get("n", 0) + 1
        session.flash("hello")
        assert session.check_csrf(session.csrf_token())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x"]

    sent: list[Any] = []
    SessionMiddleware(app, store)({"HTTP_COOKIE": header}, lambda *args: sent.append(args))
    assert sent[0][0] == "200 OK"
    assert any(name == "Set-Cookie" for name, _ in sent[0][1])
    return sessions[0]


@every_store
@given(header=header_texts)
@example(header="")
@example(header="session")
@example(header="session=")
@example(header='session="')
@example(header='session=""')
@example(header="session=\x00")
@example(header="session=.")
@example(header="session=" + "." * 50)
@example(header="session=" + "A" * 43)
@example(header="session=." + "A" * 43)
@example(header="session=" + "\ud800" * 60)
@example(header="session=\u00e9" + "A" * 60)
@example(header="session=AQAAAAAA" + "A" * 60)
@example(header="session=" + "\u0660" * 44)
def test_any_header_leads_to_a_usable_new_session(store, header):
    session = opened(store, header)
    assert dict(session) == {"n": 1}
    assert session.peek_flashes() == ["hello"]


@every_store
@given(text=base64ish | st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters=';,"')))
@example(text="")
def test_any_text_of_our_name_is_rejected(store, text):
    session = opened(store, f"a=b; {store.options.cookie_name('session')}={text}; c=d")
    assert session.rejected in ("malformed", "forged", "expired", "unknown_key")


@every_store
@given(text=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_a_store_raises_nothing_for_any_text(store, text):
    session = store.open("session", [text])
    assert session.is_new
    assert session.rejected


@given(data=st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
).map(CBORSerializer().dumps))  # fmt: skip
@pytest.mark.parametrize("kind", ["cookie", "encrypted"])
def test_what_our_keys_sealed_but_is_no_session_is_rejected(kind, data):
    codec = (EncryptedCodec if kind == "encrypted" else SignedCodec)(KEY, "session")
    session = STORES[kind].open("session", [codec.seal("session", data)])
    assert (session.is_new, session.rejected) == (True, "unreadable")


now_ms = NOW * 1000
numbers = st.integers(0, 2**70) | st.just(now_ms) | st.none() | st.floats() | st.booleans()
extras = st.dictionaries(
    st.sampled_from(["max_age", "principal", "authenticated_ms", "label", "csrf", "flashes", "epoch", "x"]),
    st.text(max_size=5)
    | numbers
    | st.lists(st.lists(st.text(max_size=3) | st.integers(), min_size=1, max_size=3), max_size=2),
    max_size=3,
)
strange = st.tuples(st.sampled_from([1, 1, 1, 2, True]), numbers, numbers, st.just({"n": 1}), extras).map(
    list
)


@given(envelope=strange)
@example(envelope=[1, now_ms, now_ms, {"n": 1}, {"max_age": float("nan")}])
@example(envelope=[1, now_ms, now_ms, {"n": 1}, {"max_age": -1}])
@example(envelope=[1, now_ms, now_ms, {"n": 1}, {"max_age": float("inf")}])
@example(envelope=[1, now_ms, now_ms, {"n": 1}, {"authenticated_ms": 2**80}])
@example(envelope=[1, now_ms, now_ms, {"n": 1}, {"flashes": [[1, 2]]}])
@example(envelope=[1, now_ms, now_ms, {"n": 1}, {"csrf": "x"}])
def test_an_envelope_that_no_version_makes_is_rejected_or_usable(envelope):
    """Only holders of the keys can make one; a mixed-up deployment may."""
    text = SignedCodec(KEY, "session").seal("session", CBORSerializer().dumps(envelope))
    opened(STORES["cookie"], f"session={text}")


# Time


@pytest.mark.parametrize(
    "header",
    [
        "a" * 8000,
        "=" * 8000,
        ";" * 8000,
        " " * 8000,
        "\t;" * 4000,
        '"' * 8000,
        "session" * 1150,
        "session=" * 1000,
        "session=;" * 880,
        "session  " * 880,
        "session=" + "." * 7900,
        "session=" + "A" * 7900 + "." + "A" * 43,
        "session=AQAAAAAA" + "A" * 7900,
        "; ".join(f"{n}=session" for n in range(500)),
    ],
    ids=lambda header: f"{header[:9]}-{len(header)}",
)
@every_kind
def test_a_hostile_header_of_8_kb_costs_little(kind, header):
    """WebOb's parser needs 0.9 s for one letter; the bound is generous, the machine may be busy."""
    environ = {"HTTP_COOKIE": header}
    best = min(_seconds(lambda: STORES[kind].get(dict(environ), "session")) for _ in range(5))
    assert best < 0.01


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# Texts that were good elsewhere


@every_kind
def test_the_text_that_the_others_are_made_of_is_good(kind, make_store, look, good_text):
    store = make_store(kind)
    assert look(store, f"session={good_text(store)}") == LOADED


@every_kind
@pytest.mark.parametrize("name", ["session2", "Session", "sessio", "__Host-session", "a"])
def test_a_text_of_another_name_is_refused(kind, name, make_store, look, good_text):
    store = make_store(kind)
    assert look(store, f"session={good_text(store, name)}") == Seen("forged", **NEW)


@every_kind
def test_a_text_of_the_same_name_without_the_prefix_is_refused(kind, make_store, look, good_text):
    plain, store = make_store(kind), make_store(kind, options=CookieOptions(prefix="__Host-"))
    assert look(store, f"__Host-session={good_text(plain)}") == Seen("forged", **NEW)


@pytest.mark.parametrize(
    ("mine", "other", "reasons"),
    [
        ("cookie", "encrypted", {"malformed"}),
        ("cookie", "memory", {"forged"}),
        ("encrypted", "cookie", {"malformed"}),
        ("encrypted", "memory", {"malformed", "unknown_key"}),
        ("memory", "cookie", {"forged"}),
        ("memory", "encrypted", {"malformed"}),
        ("memory", "memory", {"expired"}),  # the id is genuine, the record is elsewhere
    ],
)
def test_a_text_of_another_store_is_refused(mine, other, reasons, make_store, look, good_text):
    seen = look(make_store(mine), f"session={good_text(make_store(other))}")
    assert (seen.is_new, seen.values) == (True, {})
    assert seen.rejected in reasons


@every_kind
def test_a_text_of_another_key_is_refused(kind, make_store, other_key, look, good_text):
    store = make_store(kind)
    reason = "unknown_key" if kind == "encrypted" else "forged"
    assert look(store, f"session={good_text(make_store(kind, other_key))}") == Seen(reason, **NEW)


@every_kind
@pytest.mark.parametrize(("mine", "theirs"), [("", "shop"), ("shop", ""), ("shop", "admin"), ("shop", "sho")])
def test_a_text_for_another_audience_is_refused(kind, mine, theirs, make_store, look, good_text):
    text = good_text(make_store(kind, audience=theirs))
    assert look(make_store(kind, audience=mine), f"session={text}") == Seen("forged", **NEW)


@pytest.mark.parametrize("purpose", ["", "id", "record", "sessions", "session\N{COMBINING ACUTE ACCENT}"])
@pytest.mark.parametrize(("kind", "codec"), [("cookie", SignedCodec), ("encrypted", EncryptedCodec)])
def test_a_text_for_another_purpose_is_refused(kind, codec, purpose, key, make_store, look, good_text):
    store = make_store(kind)
    data = codec(key, "session").open("session", good_text(store))
    text = codec(key, purpose).seal("session", data)
    assert look(store, f"session={text}") == Seen("forged", **NEW)


def test_parts_of_the_purpose_cannot_be_shifted(key, look):
    """Audience and name are not just put one behind the other."""
    text = SignedCodec(key, "session", audience="a").seal("bsession", b"x")
    store = CookieStore(key, audience="ab")
    assert look(store, f"session={text}").rejected == "forged"


# Texts that are almost good


def same_bits(text: str, at: int) -> str:
    """Another spelling of the same bytes: the last character of a group also has bits that do not count."""
    number = ALPHABET.index(text[at])
    return text[:at] + ALPHABET[number ^ 1] + text[at + 1 :]


ALTERED: dict[str, Callable[[str], str]] = {
    "first half": lambda text: text[: len(text) // 2],
    "second half": lambda text: text[len(text) // 2 :],
    "without the last": lambda text: text[:-1],
    "without the first": lambda text: text[1:],
    "doubled": lambda text: text * 2,
    "doubled with a dot": lambda text: f"{text}.{text}",
    "one more": lambda text: text + "A",
    "four more": lambda text: text + "AAAA",
    "four before": lambda text: "AAAA" + text,
    "padded": lambda text: text + "=",
    "padded twice": lambda text: text + "==",
    "padded before the dot": lambda text: text.replace(".", "=.") if "." in text else text + "===",
    "last bits": lambda text: same_bits(text, -1),
    "a dot behind": lambda text: text + ".",
    "a dot before": lambda text: "." + text,
    "a dot inside": lambda text: text[:8] + "." + text[8:],
    "standard alphabet": lambda text: text.replace("-", "+").replace("_", "/") + "+",
    "upper case": str.upper,
    "lower case": str.lower,
    "swapped case": str.swapcase,
    "reversed": lambda text: text[::-1],
    "percent": lambda text: "".join(f"%{ord(char):02X}" for char in text),
    "one percent": lambda text: text.replace(text[0], f"%{ord(text[0]):02X}", 1),
    "escaped": lambda text: "\\" + text,
    "inner blank": lambda text: text[:8] + " " + text[8:],
    "inner tab": lambda text: text[:8] + "\t" + text[8:],
    "inner newline": lambda text: text[:8] + "\n" + text[8:],
    "newline behind": lambda text: text + "\n",
    "nul behind": lambda text: text + "\0",
    "no-break space behind": lambda text: text + "\xa0",
    "next line before": lambda text: "\x85" + text,
    "form feed before": lambda text: "\x0c" + text,
    "zero width": lambda text: text[:8] + "\u200b" + text[8:],
    "full width": lambda text: chr(ord(text[0]) + 0xFEE0) + text[1:],
    "byte order mark": lambda text: "\ufeff" + text,
    "opening quote": lambda text: '"' + text,
    "closing quote": lambda text: text + '"',
    "single quotes": lambda text: f"'{text}'",
    "two pairs of quotes": lambda text: f'""{text}""',
    "blank inside quotes": lambda text: f'" {text}"',
    "equals before": lambda text: "=" + text,
}


@every_kind
@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_an_altered_text_is_refused(kind, alter, make_store, look, good_text):
    store = make_store(kind)
    seen = look(store, f"session={alter(good_text(store))}")
    assert (seen.is_new, seen.values) == (True, {})
    assert seen.rejected in ("malformed", "forged", "unknown_key")


@every_kind
def test_every_other_character_at_every_place_is_refused(kind, make_store, good_text):
    store = make_store(kind)
    text = good_text(store)
    for at, char in enumerate(text):
        others = [same_bits(text, at) if char != "." else text] + [
            text[:at] + c + text[at + 1 :] for c in "A.+ "
        ]
        for other in others:
            assert other == text or store.open("session", [other]).rejected


@every_kind
def test_every_beginning_of_a_text_is_refused(kind, make_store, good_text):
    store = make_store(kind)
    text = good_text(store)
    assert all(store.open("session", [text[:length]]).rejected for length in range(len(text)))


@pytest.mark.parametrize("text", ["{0},{1}", "{0}, {1}", "{0};{1}", "{0} {1}"])
@every_kind
def test_two_texts_in_one_are_refused(kind, text, make_store, good_text):
    store = make_store(kind)
    joined = text.format(good_text(store), good_text(store))
    assert store.open("session", [joined]).rejected


# Names that are almost ours

NAMES = {
    "no name": "={}",
    "two equals": "=session={}",
    "value only": "{}",
    "upper case": "Session={}",
    "longer before": "xsession={}",
    "longer behind": "session2={}",
    "prefixed": "__Host-session={}",
    "no-break space before": "\xa0session={}",
    "no-break space behind": "session\xa0={}",
    "next line before": "\x85session={}",
    "vertical tab before": "\x0bsession={}",
    "form feed behind": "session\x0c={}",
    "newline before": "\nsession={}",
    "newline behind": "session\n={}",
    "ideographic space": "\u3000session={}",
    "zero width": "\u200bsession={}",
    "byte order mark": "\ufeffsession={}",
    "nul before": "\0session={}",
    "quoted": '"session"={}',
    "percent": "sess%69on={}",
    "inside a value": "x=session={}",
    "behind a blank": "x session={}",
    "behind a colon": "x:session={}",
    "no equals": "session {}",
    "full width equals": "session\uff1d{}",
    "$-prefixed": "$session={}",
}


@every_kind
@pytest.mark.parametrize("header", NAMES.values(), ids=NAMES)
def test_a_name_that_is_almost_ours_is_not_ours(kind, header, make_store, look, good_text):
    store = make_store(kind)
    text = good_text(store)
    assert look(store, header.format(text)) == Seen(None, **NEW)
    assert look(store, f"a=b; {header.format(text)}; c=d") == Seen(None, **NEW)


FINE = {
    "alone": "session={}",
    "first": "session={}; a=b",
    "last": "a=b; session={}",
    "between": "a=b; session={}; c=d",
    "no blanks": "a=b;session={};c=d",
    "more blanks": "a=b ;  \tsession \t= {} \t; c=d",
    "quoted": 'a=b; session="{}"; c=d',
    "behind a nameless one": "=x; session={}",
    "behind junk": ";;; ,=; session={}",
    "behind its name": "session; session={}",
    "behind a value that is its name": "x=session; session={}",
    "a semicolon behind": "session={};",
    "behind bytes that are no text": "x=\xff\x80; session={}",
}


@every_kind
@pytest.mark.parametrize("header", FINE.values(), ids=FINE)
def test_a_good_cookie_is_found_wherever_it_stands(kind, header, make_store, look, good_text):
    store = make_store(kind)
    assert look(store, header.format(good_text(store))) == LOADED


@every_kind
@pytest.mark.parametrize("header", ["lang=en,{}={}", "lang=en, {}={}", "lang=en\t{}={}"])
def test_a_part_of_another_cookie_is_none_of_ours(kind, header, make_store, look, good_text):
    """A prefix promises that no sibling domain can plant it."""
    store = make_store(kind, options=CookieOptions(prefix="__Host-"))
    assert look(store, header.format("__Host-session", good_text(store))) != LOADED


# Several cookies of our name


@every_kind
@pytest.mark.parametrize("bad", [0, 1, 2, 3])
def test_up_to_four_cookies_of_our_name_are_tried_in_order(kind, bad, make_store, look, good_text):
    """A sibling domain may have planted one before ours."""
    store = make_store(kind)
    header = "session=planted; " * bad + f"session={good_text(store)}"
    assert look(store, header) == LOADED


@every_kind
def test_the_fifth_cookie_of_our_name_is_not_tried(kind, make_store, look, good_text):
    store = make_store(kind)
    header = "session=planted; " * 4 + f"session={good_text(store)}"
    assert look(store, header) == Seen("malformed", **NEW)


@every_kind
def test_of_several_good_cookies_the_first_one_counts(kind, make_store, look, good_text, visit):
    store = make_store(kind)
    first, seen = good_text(store), []
    visitor = visit(SessionMiddleware(looking(seen, lambda session: session.update(n=2)), store))
    second = visitor.get().cookies["session"]
    assert look(store, f"session={first}; session={second}") == LOADED
    assert look(store, f"session={second}; session={first}").values == {"n": 2}


@every_kind
def test_of_several_bad_cookies_the_first_ones_fault_is_told(kind, make_store, other_key, look, good_text):
    store = make_store(kind)
    foreign = good_text(make_store(kind, other_key))
    assert look(store, f"session=x; session={foreign}").rejected == "malformed"
    assert look(store, f"session={foreign}; session=x").rejected in ("forged", "unknown_key")


# An id that the store did not issue is never adopted


@pytest.fixture
def now() -> list[float]:
    return [1_700_000_000.0]


UNISSUED: dict[str, Callable[[str], str]] = {
    "made up": lambda key: "0123456789abcdef" * 4,
    "signed by us, never stored": lambda key: SignedCodec(key, "id").seal("session", b"\7" * 32),
    "signed by us, too short": lambda key: SignedCodec(key, "id").seal("session", b"\7" * 31),
    "signed by us, empty": lambda key: SignedCodec(key, "id").seal("session", b""),
    "signed by us, too long": lambda key: SignedCodec(key, "id").seal("session", b"\7" * 33),
    "signed by another": lambda key: SignedCodec(key[::-1], "id").seal("session", b"\7" * 32),
}


@pytest.mark.parametrize("text", UNISSUED.values(), ids=UNISSUED)
def test_an_id_that_was_not_issued_is_never_adopted(text, key, memory_store, visit):
    seen: list[Seen] = []
    visitor = visit(SessionMiddleware(looking(seen, fill), memory_store))
    given = text(key)
    issued = visitor.get(HTTP_COOKIE=f"session={given}").cookies["session"]
    assert seen[0].is_new
    assert seen[0].rejected
    assert issued != given
    visitor.get(HTTP_COOKIE=f"session={given}")
    assert seen[1].is_new


@pytest.mark.parametrize("end", ["destroyed", "expired", "record removed"])
def test_an_id_whose_session_ended_is_never_adopted(end, make_store, visit, now):
    store = make_store("memory", clock=lambda: now[0], lifetime=Lifetime(absolute=60))
    store.backend._clock = lambda: now[0]
    seen: list[Seen] = []
    visitor = visit(SessionMiddleware(looking(seen, fill), store))
    old = visitor.get().cookies["session"]
    if end == "destroyed":
        visit(SessionMiddleware(looking([], lambda session: session.destroy()), store)).get(
            HTTP_COOKIE=f"session={old}"
        )
    elif end == "expired":
        now[0] += 60
    else:
        store.backend._items.clear()
    issued = visitor.get(HTTP_COOKIE=f"session={old}").cookies["session"]
    assert seen[1] == Seen("expired", **NEW)
    assert issued != old


def test_a_forged_id_costs_the_backend_nothing(broken_store, look, other_key):
    store = broken_store("load")
    text = SignedCodec(other_key, "id").seal("session", b"\7" * 32)
    assert look(store, f"session={text}").rejected == "forged"
    assert store.backend.calls == []


def test_a_visitor_cannot_make_two_sessions_of_one_id(memory_store, visit):
    """Login takes a new id, so what was planted before is worth nothing after it."""
    attacker = visit(SessionMiddleware(looking([], fill), memory_store))
    planted = attacker.get().cookies["session"]
    victim = visit(SessionMiddleware(looking([], lambda session: session.login("ada")), memory_store))
    issued = victim.get(HTTP_COOKIE=f"session={planted}").cookies["session"]
    seen: list[Seen] = []
    visit(SessionMiddleware(looking(seen), memory_store)).get(HTTP_COOKIE=f"session={planted}")
    assert issued != planted
    assert seen[0].is_new
    assert seen[0].values == {}
