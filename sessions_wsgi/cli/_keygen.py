"""``sessions-wsgi keygen``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from sessions_wsgi.cli._output import Output
from sessions_wsgi.keys import Key


def run(_args: Namespace, output: Output, _clock: Callable[[], float]) -> int:
    """Print a fresh key: 43 characters of base64url, ready for ``SESSION_KEYS``."""
    key = Key.generate()
    secret = key.secret.decode()
    output.show({"id": key.id.hex(), "key": secret}, secret)
    return 0
