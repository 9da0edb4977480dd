"""The shop, as HTML: who is here, what is for sale, what is in the basket."""

from __future__ import annotations

from collections.abc import Mapping

from demo.goods import GOODS, price, total
from demo.markup import Markup, counted, fill, joined, span
from sessions_wsgi import Session

SHOP = """$flashes
<section class="card" aria-labelledby="account"><h2 id="account">You</h2>$account</section>
<section aria-labelledby="goods"><h2 id="goods">Fruit</h2><ul class="goods">$goods</ul></section>
<section class="card" aria-labelledby="basket"><h2 id="basket">Basket</h2>$basket</section>"""

FLASH = """<p class="flash $category" role="status"><b>$word</b> $message</p>"""
FLASH_WORDS = {"success": "Done.", "info": "Note.", "error": "Sorry."}

SIGN_IN = """<form method="post" action="/sign-in"><input type="hidden" name="csrf" value="$csrf">
<label for="name">Your name, any will do</label>
<input id="name" name="name" autocomplete="username" maxlength="40" required placeholder="Ada">
<label class="check"><input type="checkbox" name="remember" value="1"> Remember me for 30 days</label>
<button class="main">Sign in</button></form>
<p class="quiet">$visits</p>"""

SIGNED_IN = """<p>Signed in as <strong class="name">$name</strong>, $kept.</p>
<form method="post" action="/sign-out"><input type="hidden" name="csrf" value="$csrf">
<button>Sign out</button></form>
<p class="quiet">$visits</p>"""

FRUIT = """<svg viewBox="0 0 48 48" aria-hidden="true"><path class="stem" d="M24 13c0-4 1-7 4-9"/>
<path class="leaf" d="M26 11c4-6 11-6 15-4-2 6-9 9-15 4z"/><path class="flesh" d="$flesh"/>
<path class="shine" d="$shine"/></svg>"""
#: By number, as the goods are: the outline, and where the light falls.
SHAPES = {
    1: ("M24 15c-5-4-17-3-17 11 0 10 7 18 11 18 3 0 4-1 6-1s3 1 6 1c4 0 11-8 11-18 0-14-12-15-17-11z",
        "M12 25c0-4 2-6 5-7"),
    2: ("M24 10c-5 0-7 5-7 9 0 5-7 7-7 15 0 7 6 11 14 11s14-4 14-11c0-8-7-10-7-15 0-4-2-9-7-9z",
        "M15 33c0-4 2-6 4-8"),
    3: ("M24 12c9 0 14 8 14 16s-6 16-14 16-14-8-14-16 5-16 14-16z", "M15 27c0-5 2-8 5-10"),
    4: ("M24 14c9-3 17 5 17 14 0 9-8 16-17 16S7 37 7 28c0-9 8-17 17-14z", "M24 16c-4 6-4 16 0 26"),
}  # fmt: skip

GOOD = """<li class="good-$number">$fruit
<span class="what">$name</span><span class="price">$price</span>
<form method="post" action="/basket/add"><input type="hidden" name="csrf" value="$csrf">
<input type="hidden" name="number" value="$number">
<button aria-label="Add: $name">Add</button></form></li>"""

BASKET = """<table><tbody>$lines</tbody>
<tfoot><tr><th scope="row">Total</th><td></td><td class="price">$total</td><td></td></tr></tfoot></table>
<form method="post" action="/basket/empty"><input type="hidden" name="csrf" value="$csrf">
<button>Empty the basket</button></form>"""

BASKET_LINE = """<tr><th scope="row">$name</th><td>&times; $count</td><td class="price">$price</td><td>
<form method="post" action="/basket/take-out"><input type="hidden" name="csrf" value="$csrf">
<input type="hidden" name="number" value="$number">
<button class="small" aria-label="Remove: $name">Remove</button></form></td></tr>"""

EMPTY_BASKET = """<p class="quiet">Nothing in it yet.</p>"""


def shop(visitor: Session, basket: Session) -> Markup:
    """The shop; messages that it shows are read, and gone."""
    csrf = visitor.csrf_token()
    return fill(
        SHOP,
        flashes=joined(flash(category, message) for category, message in visitor.flash_items()),
        account=account(visitor, csrf),
        goods=joined(
            fill(GOOD, number=number, name=good.name, price=price(good.cents), fruit=fruit(number), csrf=csrf)
            for number, good in GOODS.items()
        ),
        basket=basket_lines(basket, csrf),
    )


def fruit(number: int) -> Markup:
    """A picture of the goods."""
    flesh, shine = SHAPES[number]
    return fill(FRUIT, flesh=flesh, shine=shine)


def flash(category: str, message: str) -> Markup:
    """One message; a word tells the category to those who see no colours."""
    return fill(FLASH, category=category, word=FLASH_WORDS[category], message=message)


def account(visitor: Session, csrf: str) -> Markup:
    """Who is here, or the form to say so."""
    visits = f"You have opened {counted(visitor.get('pages', 0), 'page')} in this session."
    if visitor.principal is None:
        return fill(SIGN_IN, csrf=csrf, visits=visits)
    kept = f"remembered for {span(visitor.max_age)}" if visitor.max_age else "until the browser closes"
    return fill(SIGNED_IN, name=visitor.principal, kept=kept, csrf=csrf, visits=visits)


def basket_lines(basket: Mapping[int, int], csrf: str) -> Markup:
    """The basket as a table."""
    lines = [
        fill(BASKET_LINE, name=good.name, count=basket[number], price=price(good.cents * basket[number]),
             number=number, csrf=csrf)
        for number, good in GOODS.items() if number in basket
    ]  # fmt: skip
    return (
        fill(BASKET, lines=joined(lines), total=price(total(basket)), csrf=csrf)
        if lines
        else Markup(EMPTY_BASKET)
    )
