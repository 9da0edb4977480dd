"""For the tests of those who use this package: the contract of backends, and a clock that stands still."""

from __future__ import annotations

from sessions_wsgi._contract import BackendContract, ManualClock

__all__ = ["BackendContract", "ManualClock"]
