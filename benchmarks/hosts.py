"""What answers the calls of a benchmark: nginx, or a small server of our own, on loopback alone.

nginx (Debian: `nginx-light`) answers at once, or, with its module `echo`, which that package brings, after a fixed
time. Where it is not installed a server of our own stands in: one process, one thread, in Python, and so near its own
limit with many connections.
"""

from __future__ import annotations

import asyncio
import random
import select
import shutil
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 43\r\n\r\n"
    b"GIF89a\x01\x00\x01\x00\x80\x01\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x01\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02L\x01\x00;"
)
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
LIMIT = 200
"""Calls a second that the host with the fault `limit` allows."""

LIFETIME_SECONDS = 600
"""A server that was left behind ends itself after this."""

_ECHO_MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")

_NGINX = """
{load}
daemon off; master_process off; worker_processes 1; pid {folder}/nginx-{port}.pid; error_log stderr crit;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 1000000000; large_client_header_buffers 4 32k;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} {tls}; {certificate}
    location / {{ {wait} {answer} }} location = /gif {{ empty_gif; }}
    location = /rows {{ {wait} {posted} }} location = /ok {{ return 200; }}
  }}
}}
"""


def certify(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 where `host` looks for it; give the file of its CA's."""
    import trustme  # noqa: PLC0415 - for the tests and for this

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder / "ca.pem"


@contextmanager
def host(folder: Path, latency: float = 0.0, fault: str = "", tls: str = "") -> Iterator[str]:
    """Run a host for the length of a context; give its URL. nginx also answers a POST, to the path `/rows`.

    Args:
        folder: For what a server has to write.
        latency: Seconds that each answer takes.
        fault: Of `FAULTS`; such a host is always a server of our own.
        tls: `ssl`, or `ssl http2`, as nginx says it; needs nginx, and `certify`.
    """
    port = _free_port()
    nginx = None if fault else _nginx(latency)
    if nginx:
        config = folder / f"nginx-{port}.conf"
        parts = {
            "load": f"load_module {_ECHO_MODULE};" if latency else "",
            "tls": tls,
            "certificate": f"ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;" * bool(tls),
            "wait": f"echo_sleep {latency};" if latency else "",
            "answer": "echo_exec /gif;" if latency else "empty_gif;",
            "posted": "echo_exec /ok;" if latency else "return 200;",
        }
        config.write_text(_NGINX.format(folder=folder, port=port, **parts), encoding="utf-8")
        command = [nginx, "-c", str(config), "-e", "stderr", "-p", str(folder)]
    else:
        command = [sys.executable, __file__, str(port), str(latency), fault or "none"]
    with subprocess.Popen(command) as process:
        try:
            _until_it_listens(port)
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def slow(url: str, latency: float) -> Iterator[str]:
    """Pass on what goes to the host of a URL, each answer so many seconds late; give the URL to ask instead."""
    port = _free_port()
    parts = urlsplit(url)
    command = [sys.executable, __file__, str(port), str(latency), f"{parts.hostname}:{parts.port}"]
    with subprocess.Popen(command) as process:
        try:
            _until_it_listens(port)
            yield url.replace(f":{parts.port}", f":{port}")
        finally:
            process.terminate()


def _nginx(latency: float) -> str | None:
    """Give the path of an nginx that can answer so."""
    if latency and not _ECHO_MODULE.exists():
        return None
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _limit() -> Callable[[float], bytes]:
    allowed: deque[float] = deque(maxlen=LIMIT)

    def answer(now: float) -> bytes:
        if len(allowed) == LIMIT and now - allowed[0] < 1:
            return TOO_MANY
        allowed.append(now)
        return ANSWER

    return answer


def _outage() -> Callable[[float], bytes]:
    began: list[float] = []

    def answer(now: float) -> bytes:
        began.append(now)
        del began[1:]
        return BUSY if 1 <= now - began[0] < 11 else ANSWER

    return answer


def _stray() -> Callable[[float], bytes]:
    chance = random.Random(1)  # noqa: S311
    return lambda _: BUSY if chance.random() < 0.05 else ANSWER


FAULTS: dict[str, Callable[[], Callable[[float], bytes]]] = {
    "none": lambda: lambda _: ANSWER,
    "stray": _stray,  # 5 % of the answers are a 503
    "limit": _limit,  # 429 with Retry-After: 1 past 200 calls a second
    "outage": _outage,  # 503 for ten seconds, from the second second on
}
"""What goes wrong; each makes a function from the time to an answer."""


def serve(port: int, latency: float, fault: str) -> None:
    """Answer every request, each `latency` seconds after it came, for ten minutes at most."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    due: deque[tuple[float, int, bytes]] = deque()
    answer = FAULTS[fault]()
    end = time.monotonic() + LIFETIME_SECONDS
    while (now := time.monotonic()) < end:
        while due and due[0][0] <= now:
            _, descriptor, answers = due.popleft()
            if descriptor in connections:
                connections[descriptor].sendall(answers)
        for descriptor, _ in poll.poll(min(1.0, due[0][0] - now) if due else 1.0):
            if descriptor == listener.fileno():
                _accept(listener, poll, connections)
            elif requests := _read(descriptor, poll, connections):
                now = time.monotonic()
                due.append((now + latency, descriptor, b"".join(answer(now) for _ in range(requests))))


def _accept(listener: socket.socket, poll: select.epoll, connections: dict[int, socket.socket]) -> None:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connections[connection.fileno()] = connection
    poll.register(connection, select.EPOLLIN)


def _read(descriptor: int, poll: select.epoll, connections: dict[int, socket.socket]) -> int:
    """Give the number of requests that came: GETs, which end with an empty line."""
    try:
        came = connections[descriptor].recv(65536)
    except OSError:
        came = b""
    if not came:
        poll.unregister(descriptor)
        connections.pop(descriptor).close()
    return came.count(b"\r\n\r\n")


async def pass_on(port: int, latency: float, host: str, behind: int) -> None:
    """Pass on connections to another host, and answers `latency` seconds after they came."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            while came := await reader.read(65536):
                loop.call_later(delay, writer.write, came)
        finally:
            loop.call_later(delay, writer.close)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, calls = await asyncio.open_connection(host, behind)
        await asyncio.gather(copy(reader, calls, 0), copy(answers, writer, latency), return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """Serve, or pass on: `hosts.py PORT LATENCY FAULT`, or `hosts.py PORT LATENCY HOST:PORT`."""
    port, latency, what = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    host, _, behind = what.rpartition(":")
    if host:
        asyncio.run(pass_on(port, latency, host, int(behind)))
    else:
        serve(port, latency, what)


if __name__ == "__main__":
    main()
