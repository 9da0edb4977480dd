"""What visitors can do. Each action changes sessions and sends the visitor back to the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from webob import Request, Response
from webob.exc import HTTPSeeOther

from demo.goods import GOODS
from demo.held import cookies_of
from sessions_wsgi import Session, get_session

REMEMBERED = timedelta(days=30)
LONGEST_NAME = 40
MOST_OF_ONE = 99


def visitor(request: Request) -> Session:
    """The session that says who is here."""
    return get_session(request, "visitor")


def basket(request: Request) -> Session:
    """The session that holds the basket: a number of the goods → how many."""
    return get_session(request, "basket")


def sign_in(request: Request) -> Response:
    """Sign in under any name; the basket stays."""
    session, name = visitor(request), field(request, "name").strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        session.flash(f"A name has 1 to {LONGEST_NAME} characters, please.", "error")
        return back()
    session.login(name)
    session.max_age = REMEMBERED if "remember" in request.POST else None
    session.flash(f"Welcome, {name}.", "success")
    return back()


def sign_out(request: Request) -> Response:
    """End the visitor's session; the message goes into a fresh one."""
    session = visitor(request)
    session.destroy()
    session.flash("You are signed out.", "info")
    return back()


def add(request: Request) -> Response:
    """One more of something."""
    number, held = chosen(request), basket(request)
    if number is not None:
        held[number] = min(held.get(number, 0) + 1, MOST_OF_ONE)
        visitor(request).flash(f"{GOODS[number].name}: in your basket.", "success")
    return back()


def take_out(request: Request) -> Response:
    """All of one thing out of the basket."""
    number = chosen(request)
    if number is not None:
        basket(request).pop(number, None)
        visitor(request).flash(f"{GOODS[number].name}: taken out.", "info")
    return back()


def empty(request: Request) -> Response:
    """End the basket's session: its cookie goes, too."""
    basket(request).destroy()
    visitor(request).flash("Your basket is empty.", "info")
    return back()


def tamper(request: Request) -> Response:
    """Do what an attacker would: change one character in the visitor's cookie."""
    response, text = back("/#cookie-visitor"), cookies_of(request).get("visitor", "")
    place = len(text) // 3
    forged = text[:place] + ("A" if text[place : place + 1] != "A" else "B") + text[place + 1 :]
    response.set_cookie("visitor", forged, httponly=True, samesite="Lax")
    return response


def chosen(request: Request) -> int | None:
    """The number of the goods that the form names, if there are such goods."""
    text = field(request, "number")
    number = int(text) if text.isdecimal() and len(text) < 10 else None
    return number if number in GOODS else None


def field(request: Request, name: str) -> str:
    """What was typed into a field; the empty text for what is no text."""
    value = request.POST.get(name)
    return value if isinstance(value, str) else ""


def back(location: str = "/") -> Response:
    """Send the visitor to the page by GET, so that loading it again repeats nothing."""
    return HTTPSeeOther(location=location)


ACTIONS: Mapping[str, Callable[[Request], Response]] = {
    "/sign-in": sign_in,
    "/sign-out": sign_out,
    "/basket/add": add,
    "/basket/take-out": take_out,
    "/basket/empty": empty,
    "/tamper": tamper,
}
