"""``python -m sessions_wsgi``: the command ``sessions-wsgi``."""

import sys

from sessions_wsgi.cli import main

if __name__ == "__main__":
    sys.exit(main())
