"""The panel, as HTML: what this browser holds, and what the server reads in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from demo.held import Facts
from demo.markup import Markup, counted, fill, joined, span

COOKIE_LIMIT = 4096

PANEL = """<div><h2 id="held">What this browser holds</h2>
<p class="quiet">As of this page: $count. Change something and look again.</p></div>
$cookies
<section class="card" aria-labelledby="try"><h3 id="try">Play the attacker</h3>
<p>This button changes one character in the cookie <code>visitor</code>.</p>
<form method="post" action="/tamper"><input type="hidden" name="csrf" value="$csrf">
<button>Tamper with my cookie</button></form></section>"""

HELD = """<section class="card cookie" aria-labelledby="cookie-$name">
<h3 id="cookie-$name"><code>$name</code> <span class="badge $sealed">$sealed</span></h3>
<p><b>$title.</b> $note</p>
$verdict
$holding</section>"""

HOLDING = """<h4>The cookie</h4>
<p class="size"><meter min="0" max="$limit" high="3500" value="$size"></meter> $size of $limit bytes</p>
<p class="chips">$attributes</p>
<p class="text"><code>$start…</code></p>
<h4>What the server reads in it</h4>
<dl>$reading</dl>"""

NOT_HELD = """<p class="quiet">No cookie: a session with nothing in it is neither stored nor sent.</p>"""

#: What `session.rejected` may mean here. Each run of the demo has keys of its own, unless told otherwise.
CHANGED = "Somebody changed it, or another demo or run made it: cookies do not tell ports apart. "
HINTS: Mapping[str, str] = {
    "malformed": CHANGED,
    "forged": CHANGED,
    "unknown_key": CHANGED,
    "expired": "Its time was over, or it had been ended. ",
    "revoked": "Its visitor was signed out everywhere. ",
    "unreadable": "It holds nothing that this server understands. ",
}

VERDICT = """<p class="verdict $kind">$text</p>"""
CHIP = "<code>$text</code> "
ENTRY = "<dt>$term</dt><dd>$value</dd>"


def panel(held: Sequence[Facts], others: Sequence[str], csrf: str) -> Markup:
    """What this browser holds, cookie by cookie; `others` are those that this site does not read."""
    count = counted(sum(each.text is not None for each in held), "cookie")
    if others:
        count += f", and {counted(len(others), 'cookie')} of other programs ({', '.join(others)})"
    return fill(PANEL, count=count, cookies=joined(map(cookie, held)), csrf=csrf)


def cookie(held: Facts) -> Markup:
    """One session: how it is kept, and its cookie."""
    return fill(
        HELD,
        name=held.name,
        sealed=held.kind.sealed,
        title=held.kind.title,
        note=held.kind.note,
        verdict=verdict(held),
        holding=Markup(NOT_HELD) if held.text is None else holding(held, held.text),
    )


def holding(held: Facts, text: str) -> Markup:
    """The cookie, and what the server reads in it. All of its text would be as good as a password."""
    return fill(
        HOLDING,
        limit=COOKIE_LIMIT,
        size=held.size,
        start=text[:24],
        attributes=joined(fill(CHIP, text=attribute) for attribute in held.attributes),
        reading=joined(fill(ENTRY, term=term, value=value) for term, value in reading(held).items()),
    )


def verdict(held: Facts) -> Markup:
    """What became of the cookie in this request."""
    if held.arrival.rejected:
        reason = held.arrival.rejected
        text = f"The cookie that came was rejected: {reason}. {HINTS.get(reason, '')}{successor(held)}"
        return fill(VERDICT, kind="bad", text=text)
    if held.sent:
        return fill(VERDICT, kind="sent", text="Sent with this page.")
    return fill(VERDICT, kind="kept", text="Not sent again: nothing changed.") if held.text else Markup()


def successor(held: Facts) -> str:
    """What came in place of a rejected cookie."""
    return "This one replaces it." if held.sent else "Nothing replaces it: the new session is empty."


def reading(held: Facts) -> dict[str, str]:
    """What the server reads, by what applications call it."""
    session = held.read
    return {
        **{f"session[{key!r}]": repr(value) for key, value in session.items()},
        "principal": str(session.principal),
        "authenticated_at": moment(session.authenticated_at),
        "flashes": repr(session.flash_items()),
        "is_new": f"{held.arrival.is_new}, before this page",
        "rejected": str(held.arrival.rejected),
        "created": moment(session.created),
        "last_seen": moment(session.last_seen),
        "max_age": span(session.max_age) if session.max_age else "None: until the browser closes",
        **({"csrf_token()": "made from a secret that is in there, too"} if "csrf" in session.extras else {}),
        **({"handle": f"{session.handle[:16]}…"} if session.handle else {}),
    }


def moment(time: datetime | None) -> str:
    """A time as people read it."""
    return "None" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"
