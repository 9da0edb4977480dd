"""For the tests of those who use this package.

`Client` is a browser without a window, `make_cookie` and `open_session` reach into a visitor's session from
outside, `ManualClock` stands still, and `BackendContract` is the contract of backends as tests.
"""

from __future__ import annotations

from sessions_wsgi._client.client import Client
from sessions_wsgi._client.cookie import Cookie
from sessions_wsgi._client.jar import Jar
from sessions_wsgi._client.opened import make_cookie, open_session
from sessions_wsgi._contract import BackendContract, ManualClock

__all__ = ["BackendContract", "Client", "Cookie", "Jar", "ManualClock", "make_cookie", "open_session"]
