"""Committed cookies of every library: they open for ever, also where that library is not installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from foreign import UNTIL

import sessions_wsgi.importers
from sessions_wsgi import CBORSerializer, DecodeError

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "importers.json").read_text())


def importer_of(vector: dict[str, Any]) -> Any:
    kind = getattr(sessions_wsgi.importers, vector["importer"])
    return kind(**vector["arguments"], until=UNTIL)


@pytest.mark.parametrize("vector", VECTORS["opens"], ids=lambda vector: vector["what"])
def test_it_opens(vector: dict[str, Any]) -> None:
    found = importer_of(vector).read(vector["text"], vector["now"])
    data = CBORSerializer().dumps([found.values, [list(flash) for flash in found.flashes]])
    assert data.hex() == vector["data"]
    assert (found.created, found.last_seen) == (vector["created"], vector["last_seen"])


@pytest.mark.parametrize("vector", VECTORS["refuses"], ids=lambda vector: vector["what"])
def test_it_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match=vector["reason"]):
        importer_of(vector).read(vector["text"], vector["now"])
