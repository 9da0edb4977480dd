"""A Django site with ``signed_cookies``, for one run: prints the cookies that it sets, as JSON.

Run as: django_site.py SECRET_KEY VALUES…, each of these a JSON object.
"""

from __future__ import annotations

import json
import sys

import django
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import path


def view(request):
    request.session.update(json.loads(request.POST["values"]))
    return HttpResponse()


urlpatterns = [path("", view)]


def main(secret: str, *values: str) -> None:
    settings.configure(
        SECRET_KEY=secret,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
    )
    django.setup()
    cookies = []
    for each in values:
        client = Client()
        client.post("/", {"values": each})
        cookies.append(client.cookies["sessionid"].value)
    print(json.dumps(cookies))


main(*sys.argv[1:])
