"""How many instructions a request takes, counted by valgrind, against a recorded bound.

Run: ``python benchmarks/instructions.py``; with ``--record`` to record what it finds as the new bound.
Nothing is timed, so it finds a per cent on a machine that does ten other things. Builds of Python differ: the
bound holds for one of them, and elsewhere the run ends well and says why it did not compare. The bare
application is counted, too.

A process under valgrind calls a marker between the cases; valgrind writes its counts at each of them. Each
case runs twice with different numbers of requests: the difference is free of what surrounds them.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
RECORDED = HERE / "instructions.json"
#: A function of the C library that nothing else calls; at the one inside it valgrind writes its counts.
MARKER, SEEN = "srand48", "srand48_r"
FEW, MANY, WARM = 20, 60, 60
TOLERANCE = 0.05
_CHILD = "--child"


def main(argv: list[str]) -> int:
    if _CHILD in argv:
        child()
        return 0
    if shutil.which("valgrind") is None:
        print("instructions: skipped, as valgrind is not installed")
        return 0
    recorded = json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}
    if "--record" not in argv and recorded.get("build") != build():
        print(f"instructions: skipped: recorded for {recorded.get('build')}, this is {build()}")
        return 0
    found = measured()
    if "--record" in argv:
        recorded = {"build": build(), "versions": versions(), "instructions": found}
        RECORDED.write_text(json.dumps(recorded, indent=2) + "\n", "utf-8")
    return told(found, recorded)


def build() -> str:
    """What decides about the number of instructions: the version, how it was compiled, the machine."""
    optimized = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    kind = "optimized" if optimized else "plain"
    parts = [platform.python_version(), platform.python_compiler(), kind, platform.machine()]
    return ", ".join(parts)


def versions() -> dict[str, str]:
    """What else has a share in it, to explain a difference."""
    return {name: metadata.version(name) for name in ("cryptography", "cbor2", "itsdangerous")}


def told(found: dict[str, int], recorded: dict[str, dict[str, int]]) -> int:
    """Print all of it; 1 if a case takes more than its bound."""
    failed = False
    for name, count in found.items():
        bound = recorded["instructions"].get(name)
        share = float("nan") if bound is None else count / bound - 1
        over = bound is None or share > TOLERANCE
        word = "TOO MANY" if over else "fewer: record it" if share < -TOLERANCE else "as recorded"
        print(f"{name:24}{count:>10,}  bound {bound!s:>8}  {share:+7.1%}  {word}")
        failed = failed or over
    if failed and recorded.get("versions") != versions():
        print(f"recorded with {recorded.get('versions')}\nthis is       {versions()}")
    return int(failed)


def measured() -> dict[str, int]:
    """Instructions per request, by store and case."""
    with tempfile.TemporaryDirectory() as directory:
        counts = Path(directory) / "counts"
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={counts}",
            f"--dump-before={SEEN}",
            "--quiet",
            sys.executable,
            str(Path(__file__).resolve()),
            _CHILD,
        ]
        environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        environ.pop("PYTHONDEVMODE", None)
        names = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
        cases = [line for line in names.splitlines() if line]
        # The first count is that of the start; after it come two of each case.
        spent = [_total(Path(f"{counts}.{number}")) for number in range(2, 2 + 2 * len(cases))]
    pairs = zip(spent[::2], spent[1::2], strict=True)
    per_request = [round((many - few) / (MANY - FEW)) for few, many in pairs]
    return dict(zip(cases, per_request, strict=True))


def _total(path: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text("utf-8"), re.MULTILINE)
    assert found is not None, path
    return int(found[1])


def child() -> None:
    """The process that is looked at."""
    from harness.visits import CASES
    from peers.ours import Ours

    from sessions_wsgi import CookieStore, Key, MemoryStore

    key = Key("instructions-are-counted-with-this-secret-0123456789")
    stores = {
        "signed": CookieStore(key),
        "encrypted": CookieStore(key, encrypt=True),
        "memory": MemoryStore(key),
    }
    marker = getattr(ctypes.CDLL(None), MARKER)
    runs = {}
    for name, store in stores.items():
        for case in CASES:
            runs[f"{name}, {case}"] = Ours(name, store).block(case, "small")
    for run in runs.values():
        run(WARM)  # so that the interpreter has adapted itself
    gc.disable()  # which case a collection falls into is chance
    marker(0)
    for run in runs.values():
        run(FEW)
        marker(0)
        run(MANY)
        marker(0)
    print("\n".join(runs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
