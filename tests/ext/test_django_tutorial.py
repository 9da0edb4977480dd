"""A poll in the shape that Django's tutorial teaches: `django_poll`.

Each visit is made twice, over one of Django's engines and over ours, and must be answered alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client, override_settings

from sessions_wsgi import CookieStore, MemoryStore

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TOKEN = re.compile(r"(?<=csrfmiddlewaretoken\" value=\")\w+")

pytestmark = pytest.mark.usefixtures("django_project")

PAGE = (
    "<nav>{{ request.user.username|default:'nobody' }}</nav>"
    "{% for message in messages %}<p class={{ message.tags }}>{{ message }}</p>{% endfor %}"
    "{% for error in form.non_field_errors %}<b>{{ error }}</b>{% endfor %}"
    "{% for field in form %}{% for error in field.errors %}<b>{{ field.name }}: {{ error }}</b>"
    "{% endfor %}{% endfor %}"
    "{{ body }}<form method=post>{% csrf_token %}</form>"
)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [("django.template.loaders.locmem.Loader", {"page.html": PAGE})],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


class Site:
    """The poll over one engine, and a browser for each visitor."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.clients = {name: Client(enforce_csrf_checks=True) for name in ("ada", "laptop")}
        self.tokens = dict.fromkeys(self.clients, "none")

    def visit(self, who: str, where: str, form: dict[str, str] | None) -> dict[str, Any]:
        """What the visitor gets; a form carries the token of their last page."""
        client = self.clients[who]
        with override_settings(SESSION_ENGINE=self.engine):
            if form is None:
                response = client.get(where)
            else:
                response = client.post(where, {"csrfmiddlewaretoken": self.tokens[who], **form})
        text = response.content.decode()
        if found := TOKEN.search(text):
            self.tokens[who] = found[0]
        cookie = response.cookies.get("sessionid")
        return {
            "status": response.status_code,
            "location": response.headers.get("Location"),
            "page": TOKEN.sub("", text),
            "varies": response.headers.get("Vary"),
            "cookie": cookie and {name: cookie[name] for name in ("max-age", "httponly", "samesite", "path")},
        }


SIGN_UP = {"username": "ada", "password1": "lovelace-1815", "password2": "lovelace-1815"}
ADA = {"username": "ada", "password": "lovelace-1815"}
NEW = {"old_password": "lovelace-1815", "new_password1": "x-babbage-91", "new_password2": "x-babbage-91"}

#: Who visits, where, what is sent by a form; and what the page holds, or where it leads.
STORY: list[tuple[str, str, dict[str, str] | None, str]] = [
    ("ada", "/results/", None, "200 None\nnothing"),
    ("ada", "/", None, "<nav>nobody</nav>visit 1<form"),
    ("ada", "/vote/tea/", None, "/accounts/login/?next=/vote/tea/"),
    ("ada", "/sign-up/", None, "<form"),
    ("ada", "/sign-up/", {**SIGN_UP, "password2": "no"}, "<b>password2: "),
    ("ada", "/sign-up/", SIGN_UP, "/accounts/login/"),
    ("ada", "/accounts/login/", None, "<nav>nobody</nav><p class=success>ada may sign in.</p><form"),
    ("ada", "/accounts/login/", {**ADA, "csrfmiddlewaretoken": "forged"}, "403"),
    ("ada", "/accounts/login/", {**ADA, "password": "babbage"}, "<nav>nobody</nav><b>"),
    ("ada", "/accounts/login/?next=/vote/tea/", {**ADA, "remember": "on"}, "/vote/tea/"),
    ("ada", "/vote/tea/", None, "302 /"),
    ("ada", "/", None, "Hello, ada.</p><p class=info>One more for tea.</p>visit 2<form"),
    ("ada", "/vote/tea/", None, "302 /"),
    ("ada", "/vote/milk/", None, "302 /"),
    ("ada", "/", None, "You had voted for tea.</p><p class=info>One more for milk.</p>visit 3"),
    ("ada", "/", None, "<nav>ada</nav>visit 4"),
    ("ada", "/results/", None, "tea milk"),
    ("laptop", "/accounts/login/", None, "<nav>nobody</nav><form"),
    ("laptop", "/accounts/login/?next=/", ADA, "302 /"),
    ("laptop", "/", None, "<nav>ada</nav><p class=success>Hello, ada.</p>visit 1"),
    ("laptop", "/accounts/password/", {**NEW, "old_password": "wrong"}, "<b>old_password: "),
    ("laptop", "/accounts/password/", NEW, "302 /"),
    ("laptop", "/", None, "<nav>ada</nav><p class=success>Your password is new.</p>visit 2"),
    ("ada", "/vote/water/", None, "/accounts/login/?next=/vote/water/"),
    ("ada", "/", None, "<nav>nobody</nav>visit "),
    ("laptop", "/accounts/logout/", {}, "302 /"),
    ("laptop", "/", None, "<nav>nobody</nav>visit 1"),
    ("laptop", "/results/", None, "nothing"),
]  # fmt: skip

PAIRS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "db and memory": ("db", MemoryStore),
    "cached_db and memory": ("cached_db", MemoryStore),
    "signed cookies of both": ("signed_cookies", CookieStore),
    "db and encrypted cookies": ("db", lambda key: CookieStore(key, encrypt=True)),
}


@pytest.fixture(params=PAIRS)
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Site, Site]]:
    """The poll over an engine of Django, and over ours."""
    engine, make = PAIRS[request.param]
    with override_settings(
        SESSIONS_WSGI_STORE=make(KEY),
        ROOT_URLCONF="django_poll",
        MIDDLEWARE=MIDDLEWARE,
        TEMPLATES=TEMPLATES,
        MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
        CSRF_USE_SESSIONS=True,
    ):
        yield Site(f"django.contrib.sessions.backends.{engine}"), Site("sessions_wsgi.ext.django")


def told(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the visitors of a site get, with what the story says of it."""
    from django.contrib.auth.models import User

    for who, where, form, holds in STORY:
        yield holds, site.visit(who, where, form)
    User.objects.all().delete()


def test_the_poll_of_the_tutorial_is_the_same_over_ours(both: tuple[Site, Site]) -> None:
    theirs, ours = (list(told(site)) for site in both)
    for (holds, expected), (_, found) in zip(theirs, ours, strict=True):
        assert holds in f"{expected['status']} {expected['location']}\n{expected['page']}", "the story itself"
        assert found == expected, holds
