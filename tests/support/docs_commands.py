"""Runs this project's commands in processes forked from one that has imported everything.

    python tests/support/docs_commands.py FOLDER

Starting a command takes two seconds, and the documentation has dozens of commands. FOLDER gets a program for each one,
for the front of PATH. The program passes its arguments, working folder, environment and three streams to this process,
which forks and returns the exit code. So pipes, redirections and exit codes stay the shell's.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

SOCKET = "commands.sock"

_IMPORTED_LATER = (
    "target_kissmetrics.runtime",
    "target_kissmetrics.kissmetrics.http.curl_transport",
    "target_kissmetrics.kissmetrics.http.requests_transport",
    "target_kissmetrics.store.sql",
    "target_kissmetrics.sync.pipeline",
    "target_kissmetrics.sync.planner",
    "target_kissmetrics.preview.preview",
    "sqlalchemy.dialects.sqlite.pysqlite",
)

_PROGRAM = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = [{name!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]
socket.send_fds(server, [b"0"], [0, 1, 2])
server.sendall(json.dumps(request).encode() + b"\\n")
answer = b""
while more := server.recv(16):
    answer += more
sys.exit(int(answer or b"70"))
"""


def serve(folder: Path, commands: Mapping[str, Callable[[], object]]) -> None:
    """Serve programs of these names until the process is ended."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / SOCKET))
    listener.listen(64)
    for name in commands:
        program = folder / name
        program.write_text(_PROGRAM.format(python=sys.executable, address=str(folder / SOCKET), name=name))
        program.chmod(0o700)
    # What was imported stays: a child that looks through it for garbage would copy it, which takes half of its time.
    gc.collect()
    gc.freeze()
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            connection.sendall(str(_run(connection, commands)).encode())
            os._exit(0)
        connection.close()


def _run(connection: socket.socket, commands: Mapping[str, Callable[[], object]]) -> int:
    """Run the requested command in this process; return its exit code."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    with connection.makefile("rb") as lines:
        name, arguments, folder, environment = json.loads(lines.readline())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [name, *arguments]
    code = _exit_code(commands[name])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _exit_code(command: Any) -> int:
    try:
        code = command()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - Python itself would end with 1
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        return 1
    return int(code or 0)


def main() -> None:
    """Serve this project's commands in the folder of the command line."""
    for module in _IMPORTED_LATER:
        importlib.import_module(module)
    entries = distribution("target-kissmetrics").entry_points.select(group="console_scripts")
    serve(Path(sys.argv[1]), {entry.name: entry.load() for entry in entries if entry.name.startswith("target-")})


if __name__ == "__main__":
    main()
