"""`python -m target_kissmetrics.sandbox` is the command `kissmetrics-sandbox`."""

from __future__ import annotations

import sys

from target_kissmetrics.sandbox.cli import main

if __name__ == "__main__":
    sys.exit(main())
