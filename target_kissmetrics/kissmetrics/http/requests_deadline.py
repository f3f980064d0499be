"""A time limit for a whole request: `requests` limits each read alone, and a host that sends a byte now and then would
keep a connection for ever.

One thread of the process looks a few times a second after all requests under way, and shuts the socket of one that is
late: its reader then fails at once. That holds from the moment a connection stands: for a proxy's answer to `CONNECT`
and a TLS handshake, too. (What a SOCKS proxy answers before is some 20 bytes, each of them under the limit for
connecting.)
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

LOOKED_AFTER_SECONDS = 0.25
"""How often the requests under way are looked after."""

_current = threading.local()
"""`socket`: of the latest connection that this thread has made."""


class Deadline:
    """Limits what happens in its context, again and again. For one thread, which makes one connection at a time.

    Args:
        seconds: How long each use of the context may take.

    Attributes:
        passed: The latest use was ended because it took too long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._due: float | None = None
        self._thread_state: Any = None
        self.passed = False
        _WATCH.add(self)

    def __enter__(self) -> None:
        """Begin."""
        with self._lock:
            self.passed = False
            self._thread_state = _current.__dict__
            self._due = time.monotonic() + self._seconds

    def __exit__(self, *_: object) -> None:
        """End in time, or late."""
        with self._lock:
            self._due = None

    def look(self, now: float) -> None:
        """End what is late. From the watching thread."""
        with self._lock:
            if self._due is None or now < self._due:
                return
            self.passed = True
            sock = self._thread_state.get("socket")
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


class _Watch:
    """Looks after all deadlines of the process."""

    def __init__(self) -> None:
        self._deadlines: weakref.WeakSet[Deadline] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline) -> None:
        with self._lock:
            self._deadlines.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(LOOKED_AFTER_SECONDS)
            with self._lock:
                deadlines = list(self._deadlines)
            now = time.monotonic()
            for deadline in deadlines:
                deadline.look(now)


_WATCH = _Watch()


class _Watched(HTTPConnection):
    """Lets the deadline of this thread shut its socket, from before a proxy or TLS is spoken to over it."""

    _let_go: weakref.finalize[Any, Any] | None = None
    """Closes a twin of the socket, made with it: TLS takes the socket itself away before its handshake."""

    @property
    def sock(self) -> Any:
        """The socket, set as soon as it is connected."""
        return self.__dict__.get("sock")

    @sock.setter
    def sock(self, sock: Any) -> None:
        self.__dict__["sock"] = sock
        if sock is None:
            if self._let_go is not None:
                self._let_go()
                self._let_go = None
        elif self._let_go is None:
            twin = socket.fromfd(sock.fileno(), sock.family, sock.type, sock.proto)
            self._let_go = weakref.finalize(self, twin.close)
            _current.socket = twin


class _Connection(_Watched):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class WatchedAdapter(HTTPAdapter):
    """Sends over connections whose sockets a `Deadline` of the same thread can shut."""

    _POOLS: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _Pool, "https": _SecurePool}

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Make the connections' pools."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = self._POOLS

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        """Make the pools of a proxy's connections."""
        manager = super().proxy_manager_for(proxy, **named)
        schemes = manager.pool_classes_by_scheme if proxy.lower().startswith("socks") else self._POOLS
        manager.pool_classes_by_scheme = {scheme: _watched(pool) for scheme, pool in schemes.items()}
        return manager


def _watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Give a kind of pool, a SOCKS proxy's own say, whose connections are looked after."""
    made = pool.ConnectionCls
    if issubclass(made, _Watched):
        return pool
    connection = type(f"Watched{made.__name__}", (_Watched, made), {})
    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": connection})
