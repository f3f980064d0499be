"""`python -m target_kissmetrics` is the command `target-kissmetrics`."""

from target_kissmetrics.target import main

main()
