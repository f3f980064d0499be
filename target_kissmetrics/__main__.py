"""The command `target-kissmetrics`, also as `python -m target_kissmetrics`."""

import gc


def main() -> None:
    """Run the command. Looking for cycles among what is imported would take a fifth of its start."""
    gc.disable()
    from target_kissmetrics.target import main as run  # noqa: PLC0415

    gc.freeze()
    run()


if __name__ == "__main__":
    main()
