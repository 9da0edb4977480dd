"""Who is measured: a module for each library, with the same shape.

A module has `PACKAGE`, the name of its distribution, and ``make(places)``, which yields its peers. It is
imported here only: one whose library is not installed is reported, and the others are measured.
"""

from __future__ import annotations

from importlib import import_module, metadata

from harness.places import Places
from harness.visits import Peer

MODULES = (
    "ours",
    "floors",
    "beaker_peer",
    "pyramid_peer",
    "flask_peer",
    "django_peer",
    "starlette_peer",
    "gorilla_peer",
)


class NotInstalled(Exception):  # noqa: N818 - it is a finding, not a failure
    """What a peer needs is not on this machine."""


class Found:
    """The peers of this machine, their versions, and what is not here."""

    def __init__(self, places: Places, modules: tuple[str, ...] = MODULES) -> None:
        self.peers: list[Peer] = []
        self.versions: dict[str, str] = {}
        #: Reasons by the name of the library or server.
        self.missing: dict[str, str] = {}
        for name in modules:
            self._take(name, places)

    def _take(self, name: str, places: Places) -> None:
        try:
            module = import_module(f"peers.{name}")
            self.peers.extend(module.make(places))
        except (ImportError, NotInstalled) as reason:
            self.missing[name.removesuffix("_peer")] = str(reason)
            return
        if module.PACKAGE:
            self.versions[module.PACKAGE] = _version(module)


def _version(module: object) -> str:
    own = getattr(module, "version", None)
    if own is not None:
        return str(own())
    return metadata.version(module.PACKAGE)  # type: ignore[attr-defined]
