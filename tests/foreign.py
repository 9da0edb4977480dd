"""Cookies of other libraries, made by those libraries themselves; and a browser that arrives with one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from beaker.middleware import SessionMiddleware as BeakerMiddleware
from flask import Flask, flash, session
from pyramid.config import Configurator
from pyramid.session import SignedCookieSessionFactory
from webob import Request, Response

from sessions_wsgi.importers import (
    BeakerImporter,
    DjangoImporter,
    FlaskImporter,
    GorillaImporter,
    PyramidImporter,
)

SECRET = "a foreign secret"
BLOCK = "fedcba9876543210fedcba9876543210"
UNTIL = datetime(2999, 1, 1, tzinfo=UTC)
DJANGO_SITE = Path(__file__).parent / "importers" / "django_site.py"


def value_of(response: Response) -> str:
    """The value of its only cookie, as a browser would send it."""
    (header,) = response.headers.getall("Set-Cookie")
    return header.partition(";")[0].partition("=")[2].strip('"')


def flask_cookie(values: Any, flashes: Any = (), *, key: Any = SECRET, interface: Any = None) -> str:
    app = Flask(__name__)
    app.secret_key = key
    if interface is not None:
        app.session_interface = interface

    @app.route("/")
    def view() -> str:
        session.update(values)
        for message, category in flashes:
            flash(message, category)
        return ""

    return value_of(Request.blank("/").get_response(app))


@cache
def django_cookies(secret: str, *values: str) -> list[str]:
    """Of a process of its own, as Django's settings are for ever; each of `values` is JSON."""
    command = [sys.executable, str(DJANGO_SITE), secret, *values]
    found: list[str] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def django_cookie(values: Any, *, key: str = SECRET) -> str:
    return django_cookies(key, json.dumps(values))[0]


def pyramid_cookie(values: Any, flashes: Any = (), *, key: str = SECRET, **options: Any) -> str:
    def view(request: Any) -> Response:
        request.session.update(values)
        for message, queue in flashes:
            request.session.flash(message, queue)
        return request.response

    with Configurator(session_factory=SignedCookieSessionFactory(key, **options)) as config:
        config.add_view(view)
        app = config.make_wsgi_app()
    return value_of(Request.blank("/").get_response(app))


def beaker_cookie(values: Any, *, key: str = SECRET, serializer: str = "json", **options: Any) -> str:
    def app(environ: Any, start_response: Any) -> Any:
        environ["beaker.session"].update(values)
        environ["beaker.session"].save()
        start_response("200 OK", [])
        return [b""]

    options = {"type": "cookie", "validate_key": key, "data_serializer": serializer, **options}
    wrapped = BeakerMiddleware(app, {f"session.{name}": value for name, value in options.items()})
    return value_of(Request.blank("/").get_response(wrapped))


def gorilla_cookie(payload: bytes, made: float, *, key: str = SECRET, name: str = "session") -> str:
    """As securecookie makes it of these bytes; that it does is tested with Go."""
    signed = f"{int(made)}|".encode() + base64.urlsafe_b64encode(payload)
    mac = hmac.digest(key.encode(), name.encode() + b"|" + signed, hashlib.sha256)
    return base64.urlsafe_b64encode(signed + b"|" + mac).decode()


class Library(NamedTuple):
    """A library that sites come from: what it makes of values, and the importer for that."""

    cookie: Callable[[dict[str, Any]], str]
    importer: Callable[..., Any]

    def reads(self, **options: Any) -> Any:
        return self.importer(**{"until": UNTIL, **options})


def _gorilla_now(values: Any) -> str:
    return gorilla_cookie(json.dumps(values).encode(), time.time())


def _beaker(**options: Any) -> Library:
    key = options.get("encrypt_key")
    bits = options.get("encrypt_nonce_bits", 128)
    return Library(
        lambda values: beaker_cookie(values, **options),
        lambda **more: BeakerImporter(SECRET, key, encrypt_nonce_bits=bits, **more),
    )


LIBRARIES = {
    "flask": Library(flask_cookie, lambda **more: FlaskImporter(SECRET, **more)),
    "django": Library(django_cookie, lambda **more: DjangoImporter(SECRET, **more)),
    "pyramid": Library(pyramid_cookie, lambda **more: PyramidImporter(SECRET, **more)),
    "beaker": _beaker(),
    "beaker, AES-GCM": _beaker(encrypt_key="key", crypto_type="cryptography"),
    "beaker, AES-CTR": _beaker(encrypt_key="key", crypto_type="pycryptodome"),
    "beaker, short nonce": _beaker(encrypt_key="key", encrypt_nonce_bits=48),
    "gorilla": Library(_gorilla_now, lambda **more: GorillaImporter(SECRET, serializer="json", **more)),
}
