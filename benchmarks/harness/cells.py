"""The cells of the tables: for each case and size, a block of every peer, and those of their bases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harness.rounds import Block
from harness.visits import CASES, FOREIGN, READ, SIZES, Once, Peer, PythonPeer, looped
from harness.wsgi import Application, WSGIPeer, bare, environ_with, start_response

#: Chunks of a streamed body.
CHUNKS = 1000
STREAMING, HOSTILE = "streaming", "hostile header"

#: Headers of 8 kB, as attackers send them; each is cut to what servers accept.
_HOSTILE = {
    "one letter": "a" * 8192,
    "semicolons": ";" * 8192,
    "equals signs": "=" * 8192,
    "quotes": 'session="' + '"' * 8192,
    "spaces": "session= " + " " * 8192,
    "small cookies": "a=b; " * 1700,
    "our name, without value": "session; " * 1000,
    "our name, many times": "session=x; " * 800,
    "our name, joined": "session=" * 1024,
    "a forged cookie of this length": "session=" + "A" * 8100 + "." + "A" * 43,
    "percent signs": "session=" + "%41" * 2800,
}


def name_of(case: str, size: str) -> str:
    return f"{case}, {size}"


def request_cells(peers: Sequence[Peer], words: Iterable[str] = ()) -> dict[str, list[Block]]:
    """The cells whose names hold all of the words."""
    chosen = list(words)
    cells = {}
    for size in SIZES:
        for case in CASES:
            cell = name_of(case, size)
            if all(word in cell for word in chosen):
                cells[cell] = list(_blocks(peers, case, size))
    return cells


def _blocks(peers: Sequence[Peer], case: str, size: str) -> Iterator[Block]:
    bases = {peer.base: peer for peer in reversed(peers) if peer.base is not None}
    for base, peer in bases.items():
        yield Block(base, None, peer.bare())
    for peer in peers:
        run = peer.block(case, size)
        if run is not None:
            yield Block(peer.name, peer.base, run)


def check(peers: Sequence[Peer]) -> None:
    """Raise `AssertionError` unless every peer keeps sessions."""
    for peer in peers:
        if isinstance(peer, PythonPeer):
            for size in SIZES:
                peer.check(size)


def extra_cells(peers: Sequence[Peer]) -> dict[str, list[Block]]:
    """Streams and hostile headers, for those of our own stores that have no backend."""
    ours = [peer for peer in peers if peer.name in {"signed cookie", "encrypted cookie"}]
    cells = {STREAMING: list(_streaming(ours[:1])), HOSTILE: list(_hostile(ours))}
    return {cell: blocks for cell, blocks in cells.items() if ours and blocks}


def _hostile(peers: Sequence[Peer]) -> Iterator[Block]:
    for peer in peers:
        assert isinstance(peer, PythonPeer)
        yield from [Block(peer.base or "", None, peer.bare())] if peer is peers[0] else []
        for shape, header in _HOSTILE.items():
            yield Block(f"{peer.name}: {shape}", peer.base, looped(peer.visit(header[:8192], READ)))


def _streaming(peers: Sequence[Peer]) -> Iterator[Block]:
    yield Block("bare stream", None, looped(_streamed(_stream)))
    for peer in peers:
        assert isinstance(peer, WSGIPeer)
        yield Block("untouched stream", "bare stream", looped(_streamed(peer.around(_stream))))


def _stream(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    bare(environ, start_response)
    for _ in range(CHUNKS):
        yield b"chunk"


def _streamed(application: Application) -> Once:
    environ = environ_with(f"{FOREIGN}; session=x")

    def once() -> None:
        body = application(environ.copy(), start_response)
        for _ in body:
            pass
        body.close()

    return once
