"""A project of Django for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def django_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A project of Django for the tests of a module; what was configured before is put back."""
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections
    from django.utils.functional import empty

    before, settings._wrapped = settings._wrapped, empty
    database = tmp_path_factory.mktemp("django") / "django.db"
    settings.configure(
        SECRET_KEY="w8#k2!vq^z0p5r7t9y1u3i(o4a6s8d0f-g2h4j6k8l0x2c4v6b8",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="django_site",
        USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database)}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
    )
    django.setup()
    call_command("migrate", verbosity=0)
    yield
    connections.close_all()
    settings._wrapped = before

    from sessions_wsgi.ext import _django_settings

    _django_settings._made.cache_clear()
