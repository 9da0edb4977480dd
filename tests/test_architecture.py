"""The shape of the package: imports point one way, modules stay small, the surface is complete."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sessions_wsgi

ROOT = Path(__file__).parent.parent / "sessions_wsgi"

# Each group may import from those above it, and within itself.
LAYERS = [
    {"errors"},
    {
        "keys",
        "_nearest",
        "_urls",
        "_named",
        "_where",
        "_told",
        "cookies",
        "_walk",
        "_xaes",
        "_csrf",
        "_headers",
        "_advice",
        "backends",
    },
    {"_custom", "_cbor_leaves", "_cbor", "serializers", "_stored", "session"},
    {"codecs", "envelope"},
    {"protocols", "_takeover", "_commit", "_nested", "registry"},
    {"stores"},
    {"importers", "_texts", "_given", "config", "_exchange", "middleware"},
    {"_dictlike", "ext", "compat", "paste", "cli", "_contract", "_client", "testing"},
    {"__init__", "__main__"},
]
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}
FILES = sorted(ROOT.rglob("*.py"))


def top(path: Path) -> str:
    """The module or folder of the package that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The modules and folders of the package that a file imports, when it is loaded or later."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = node.module == "sessions_wsgi"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if inside else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "sessions_wsgi" and rest:
                yield rest.partition(".")[0]


def is_type_checking(path: Path, module: str) -> bool:
    return path.name == "_stored.py" and module == "session"  # only its annotations name the session


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    rank = RANK[top(path)]
    upward = [
        module for module in imported(path) if RANK[module] > rank and not is_type_checking(path, module)
    ]
    assert upward == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_has_two_thoughts(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


def test_the_surface_is_sorted_and_complete() -> None:
    public = [name for name, value in vars(sessions_wsgi).items() if not name.startswith("_")]
    modules = {name for name in public if type(getattr(sessions_wsgi, name)).__name__ == "module"}
    assert set(sessions_wsgi.__all__) == set(public) - modules
    assert sessions_wsgi.__all__ == sorted(sessions_wsgi.__all__)


def test_everything_public_says_what_it_is() -> None:
    values = [getattr(sessions_wsgi, name) for name in sessions_wsgi.__all__]
    assert all(value.__doc__ for value in values)


def test_nothing_optional_is_loaded_by_the_package() -> None:
    """Redis, SQL and memcached cost nothing until they are asked for."""
    core = {top(path) for path in FILES} - {"backends"}
    loaded = {module for path in FILES if top(path) in core for module in imported(path)}
    assert "backends" in loaded
    for path in FILES:
        if top(path) != "backends":
            text = path.read_text("utf-8")
            assert "backends.redis import" not in text
            assert "backends.sql import" not in text
            assert "backends.memcached import" not in text
