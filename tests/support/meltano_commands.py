"""Runs Meltano in processes forked from one that has imported it, which takes a second.

    .venv-meltano/bin/python tests/support/meltano_commands.py FOLDER

FOLDER gets two programs, as those of `docs_commands`: `meltano`, and `patient-meltano` for `config test`.
"""

from __future__ import annotations

import contextlib
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from docs_commands import serve


def patient(meltano: Callable[[], object]) -> object:
    """Run Meltano, which may terminate a process that has ended already.

    Meltano 4.4 does. On some Pythons it then shows `ProcessLookupError` instead of the result of `config test`:
    https://docs.python.org/3/library/asyncio-subprocess.html, "terminate".
    """
    terminate = Process.terminate

    def patient_terminate(process: Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            terminate(process)

    Process.terminate = patient_terminate  # type: ignore[method-assign, assignment]
    return meltano()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose modules are none of Meltano's
    main = import_module("meltano.cli").main
    serve(Path(sys.argv[1]), {"meltano": main, "patient-meltano": partial(patient, main)})
