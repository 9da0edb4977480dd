"""The browser for tests: `sessions_wsgi.testing.Client`."""
