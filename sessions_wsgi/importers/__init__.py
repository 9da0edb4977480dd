"""Read-only importers of foreign session cookies: changing to this package logs nobody out.

Give them to a store as ``accept=[…]``. Each reads the cookies of one library with that library's own secret,
until a date; what it read is sealed anew in the same response. None of them ever unpickles anything.
"""

from sessions_wsgi.importers.beaker import BeakerImporter
from sessions_wsgi.importers.django import DjangoImporter
from sessions_wsgi.importers.flask import FlaskImporter
from sessions_wsgi.importers.gorilla import GorillaImporter
from sessions_wsgi.importers.pyramid import PyramidImporter

__all__ = ["BeakerImporter", "DjangoImporter", "FlaskImporter", "GorillaImporter", "PyramidImporter"]
