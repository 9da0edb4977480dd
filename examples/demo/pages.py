"""The frame around every page, and the page of a refused form."""

from __future__ import annotations

from demo.markup import Markup, fill

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title · sessions_wsgi demo</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
</head>
<body>
<header class="top"><a class="brand" href="/"><img src="/icon.svg" alt="" width="32" height="32">Orchard</a>
<span class="about">a demo of <code>sessions_wsgi</code></span></header>
$content
</body>
</html>
"""

TWO_COLUMNS = """<main>$shop</main>
<aside aria-labelledby="held">$panel</aside>"""


REFUSED = """<main><section class="card"><h1>That form is not valid any more</h1>
<p>It belongs to a session that has ended, or comes from another site. Nothing was changed.</p>
<p><a class="button" href="/">Back to the shop</a></p></section></main>"""


def page(shop: Markup, panel: Markup) -> str:
    """The whole page."""
    return fill(PAGE, title="Orchard", content=fill(TWO_COLUMNS, shop=shop, panel=panel))


def refused() -> str:
    """The page for a form without a valid CSRF token."""
    return fill(PAGE, title="Form refused", content=Markup(REFUSED))
