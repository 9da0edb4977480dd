"""The benchmarks: that they run, that they say what is missing, and that their page tells the truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PACKAGES = {"harness", "peers", "report", "load", "growth", "simulation", "run", "instructions", "hot_paths"}


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The modules of the benchmarks can be imported, and nothing of them stays."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in PACKAGES:
            del sys.modules[name]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A benchmark as it is run by hand."""
    command = [sys.executable, *arguments]
    environ = {**os.environ, "PYTHONDEVMODE": ""}
    return subprocess.run(command, cwd=BENCHMARKS, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What one short round of one case writes: the page and the chart."""
    out = tmp_path_factory.mktemp("bench")
    options = ["--once", "--only", "read small", "--no-servers", "--no-load", "--out", str(out)]
    done = run("run.py", *options)
    assert done.returncode == 0, done.stderr
    return (out / "results.md").read_text("utf-8"), (out / "chart.svg").read_text("utf-8")


def test_one_round_writes_a_page_of_all_our_stores(page: tuple[str, str]) -> None:
    for store in ("signed cookie", "encrypted cookie", "memory", "files, disk", "SQLite, disk"):
        assert f"\n| {store} |" in page[0]


def test_a_page_tells_what_it_ran_on(page: tuple[str, str]) -> None:
    assert f"Python {sys.version.split()[0]}" in page[0]


@pytest.mark.parametrize("peer", ["beaker", "pyramid", "flask", "django", "starlette", "gorilla"])
def test_every_peer_is_measured_or_reported_as_missing(peer: str, page: tuple[str, str]) -> None:
    measured = f"\n| {peer.capitalize() if peer != 'gorilla' else peer}" in page[0]
    assert measured or f"**{peer}: not installed**" in page[0]


def test_the_chart_is_an_image_for_light_and_dark_pages(page: tuple[str, str]) -> None:
    root = ElementTree.fromstring(page[1])
    assert root.tag.endswith("svg")
    assert "prefers-color-scheme: dark" in page[1]


def test_a_peer_that_is_not_installed_is_reported(
    imported: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.places import Places
    from peers import Found

    monkeypatch.setitem(sys.modules, "beaker.middleware", None)
    found = Found(Places(tmp_path), ("ours", "beaker_peer"))
    assert "beaker" in found.missing
    assert found.peers


def test_a_server_that_is_not_installed_is_reported(imported: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import servers

    monkeypatch.setattr(servers.shutil, "which", lambda *_, **__: None)
    with servers.running(["redis"]) as (urls, missing):
        assert (urls, set(missing)) == ({}, {"Redis"})


def figures(imported: None, **spent: list[float]) -> object:
    from harness.figures import Figures
    from harness.rounds import Block

    blocks = [Block("bare", None, lambda count: 0)]
    blocks += [Block(name, "bare", lambda count: 0) for name in spent if name != "bare"]
    return Figures({"cell": blocks}, {"cell": spent})


def test_the_bare_application_is_subtracted_round_by_round(imported: None) -> None:
    found = figures(imported, bare=[1000.0, 3000.0], ours=[2000.0, 4000.0])
    assert found.median("cell", "ours") == 1.0


def test_a_first_look_tells_what_each_case_costs(
    imported: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import hot_paths
    from harness.rounds import ONCE

    monkeypatch.setattr(hot_paths, "EFFORT", ONCE)
    hot_paths.main(["signed"])
    rows = [line.rsplit(maxsplit=2 * 3) for line in capsys.readouterr().out.splitlines()]
    [ours] = [row for row in rows if row[0] == "signed cookie"]
    assert all(float(figure) for figure in ours[1:])


def test_ratios_within_rounds_are_free_of_drift(imported: None) -> None:
    found = figures(imported, bare=[0.0, 0.0, 0.0], ours=[1.0, 2.0, 8.0], theirs=[3.0, 6.0, 24.0])
    assert found.ratio_in_rounds("cell", "theirs", "ours") == 3.0


def test_blocks_take_turns_to_begin(imported: None) -> None:
    from harness.rounds import Block, Effort, measured

    order: list[str] = []
    blocks = [Block(name, None, lambda count, name=name: order.append(name) or 1) for name in "abc"]
    measured({"cell": blocks}, Effort(passes=1, rounds=3, milliseconds=0.0))
    # Each twice: some requests that are not timed, then those that are.
    assert "".join(order[-18:]) == "aabbccbbccaaccaabb"


@pytest.mark.parametrize(("measured", "met"), [(3.1, True), (2.9, False), (None, None)])
def test_a_goal_is_met_missed_or_not_measured(imported: None, measured: float | None, met: object) -> None:
    from report.goals import Ratio, Verdict

    assert Verdict(Ratio("group", "cell", "ours", "theirs", 3.0), measured).met is met


def test_goals_that_were_missed_come_first(imported: None) -> None:
    from report.goals import Ratio, Verdict
    from report.tables import verdicts

    goal = Ratio("group", "cell", "ours", "theirs", 3.0)
    assert "**missed**" in verdicts([Verdict(goal, 5.0), Verdict(goal, 1.0)]).splitlines()[2]


def test_names_of_goals_are_those_of_the_peers(imported: None, page: tuple[str, str]) -> None:
    """A goal against a name that nobody has would never be measured."""
    from report.goals import Ratio, goals

    for goal in goals():
        if isinstance(goal, Ratio):
            assert goal.ours in page[0]


def test_wrk_is_understood(imported: None) -> None:
    from load import Answer, parsed

    text = "  Latency Distribution\n     50%    1.00ms\n     99%  890.00us\nRequests/sec:   5123.45\n"
    assert parsed(text) == Answer(5123.45, 0.89, failed=False)


def test_waiting_grows_as_a_server_fills_up(imported: None) -> None:
    from simulation import waited

    assert waited(1, 0.5, 2000) < waited(1, 0.9, 2000)


def test_the_wait_in_a_simulated_queue_is_that_of_theory(imported: None) -> None:
    """M/M/1: the 99th percentile of the wait is ln(100 · load) / (1 - load) service times."""
    from math import log

    from simulation import waited

    assert waited(1, 0.5, 100_000) == pytest.approx(log(50) / 0.5, rel=0.1)


def test_pages_show_what_the_results_say(imported: None) -> None:
    from report.quoted import quoted, section

    results = (BENCHMARKS / "results.md").read_text("utf-8")
    shown = quoted((ROOT / "docs" / "scaling.md").read_text("utf-8"))
    assert shown == {"Scaling": section(results, "Scaling")}


def test_the_readme_shows_the_chart() -> None:
    assert "(benchmarks/chart.svg)" in (ROOT / "README.md").read_text("utf-8")
    ElementTree.parse(BENCHMARKS / "chart.svg")


def test_bounds_of_instructions_are_recorded_with_their_build() -> None:
    recorded = json.loads((BENCHMARKS / "instructions.json").read_text("utf-8"))
    assert recorded["build"]
    assert all(count > 0 for count in recorded["instructions"].values())


@pytest.mark.parametrize("script", sorted(BENCHMARKS.rglob("*.py")), ids=lambda path: path.name)
def test_a_module_of_the_benchmarks_is_small(script: Path) -> None:
    assert len(script.read_text("utf-8").splitlines()) <= 200


def test_instructions_of_another_build_are_not_compared(
    imported: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import instructions

    monkeypatch.setattr(instructions.shutil, "which", lambda name: name)
    monkeypatch.setattr(instructions, "build", lambda: "another one")
    assert instructions.main([]) == 0
    assert "skipped" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "code"), [(100, 0), (104, 0), (106, 1)])
def test_more_instructions_than_the_tolerance_fail(imported: None, count: int, code: int) -> None:
    import instructions

    assert instructions.told({"case": count}, {"instructions": {"case": 100}}) == code
