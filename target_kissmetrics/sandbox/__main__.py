"""`python -m target_kissmetrics.sandbox` is the command `kissmetrics-sandbox`."""

import sys

from target_kissmetrics.sandbox.cli import main

sys.exit(main())
