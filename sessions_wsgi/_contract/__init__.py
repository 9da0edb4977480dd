"""The contract of `sessions_wsgi.backends` as tests: `sessions_wsgi.testing.BackendContract`."""

from __future__ import annotations

from sessions_wsgi._contract.abilities import Abilities
from sessions_wsgi._contract.hooks import ManualClock
from sessions_wsgi._contract.races import Races
from sessions_wsgi._contract.records import Records

__all__ = ["BackendContract", "ManualClock"]


class BackendContract(Records, Races, Abilities):
    """Tests everything that a backend promises; three lines give yours the whole battery::

        class TestMyBackend(BackendContract):
            def make(self, clock):
                return MyBackend("localhost", clock=clock)

    For pytest. The other hooks, `advance`, `broken`, `shares`, `lifetime` and `precision`, have defaults.
    Each test uses random keys of its own, so storage need not be emptied in between. What a backend does
    not offer (`Purges`, `Lists`) is skipped.
    """
