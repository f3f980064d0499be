"""An nginx of the tests' own, with TLS from a CA of its own: a real host, in front of whatever answers.

Needs Debian's package `nginx-light`, or `nginx` on the path; `binary()` is None where there is none.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

START_SECONDS = 20.0

# One request a line; a body is known here because it is passed on.
_CONFIG = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  log_format call escape=json '$server_protocol\t$request_method\t$connection\t$status\t$request_uri\t$request_body';
  access_log {folder}/access.log call;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  large_client_header_buffers 4 32k; client_body_buffer_size 64k; keepalive_requests {requests};
  ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
  upstream behind {{ server {behind}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} ssl {http2};
    location / {{ proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@dataclass(frozen=True)
class Line:
    """A request as nginx logged it."""

    protocol: str
    method: str
    connection: str
    status: str
    target: str
    body: str


@dataclass(frozen=True)
class Nginx:
    """A server that runs.

    Attributes:
        url: Where it listens, by the name that its certificate has.
        ca: A file with the certificate of its CA.
        folder: Where it writes.
        port: Where it listens.
    """

    url: str
    ca: Path
    folder: Path
    port: int

    def requests(self) -> list[Line]:
        """Give what was asked so far."""
        return [Line(*line.split("\t")) for line in (self.folder / "access.log").read_text().splitlines()]


def binary() -> str | None:
    """Give the path of nginx."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@contextmanager
def running_nginx(folder: Path, behind: str, *, http2: bool, requests: int) -> Iterator[Nginx]:
    """Run a server.

    Args:
        folder: An empty one, for its files.
        behind: Host and port of the HTTP server that answers.
        http2: Whether it offers HTTP/2.
        requests: It closes a connection after this many.
    """
    program = binary()
    assert program is not None, "nginx is not installed"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    port = _free_port()
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder.as_posix(), port=port, behind=behind, requests=requests, http2="http2" if http2 else ""
        )
    )
    command = [program, "-c", str(config), "-e", str(folder / "error.log"), "-p", str(folder)]
    with subprocess.Popen(command) as process:
        try:
            _until_it_listens(port, process)
            yield Nginx(f"https://localhost:{port}", folder / "ca.pem", folder, port)
        finally:
            process.send_signal(signal.SIGQUIT if os.name != "nt" else signal.SIGTERM)  # lets the log be written
            try:
                process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, "nginx ended while it started"
            assert time.monotonic() < deadline, "nginx did not start in time"
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
