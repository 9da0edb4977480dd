"""The demo site: a small shop whose visitors, baskets and messages live in `sessions_wsgi` sessions.

Read `stores` and `actions` first: they are all that an application has to do. `held` finds out what
the browser got, `shop` and `panel` show it all.
"""
