"""The command `target-kissmetrics`, also as `python -m target_kissmetrics`."""

import gc

gc.disable()  # looking for cycles among what is imported would take a fifth of the start
from target_kissmetrics.target import main  # noqa: E402

gc.freeze()
if __name__ == "__main__":
    main()
