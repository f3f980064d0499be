"""A time limit for a whole request: `requests` limits each read alone, and a host that sends a byte now and then would
keep a connection for ever.

One thread of the process looks a few times a second after all requests under way, and shuts the socket of one that is
late: its reader then fails at once.
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
                # Not TLS's own way to shut down, which is none for another thread than the reader's.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


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


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _current.socket = self.sock


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _current.socket = self.sock


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
        # A SOCKS proxy brings pools of its own, whose connections are not looked after.
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._POOLS
        return manager
