"""A sandbox in a background thread, for tests and demos.

Example:
    >>> with running() as sandbox:
    ...     requests.get(sandbox.url + "/e", params={"_k": "key", "_p": "ada@example.com", "_n": "Signed Up"})
    ...     assert sandbox.summary()["events"] == 1
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

from target_kissmetrics.sandbox import answers
from target_kissmetrics.sandbox.server import Server, bind, url_of
from target_kissmetrics.sandbox.service import REVENUE_PROPERTY, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from target_kissmetrics.sandbox.answers import EventListed, NotKeptShown, PersonShown, Summary

_T = TypeVar("_T")


class RunningSandbox:
    """A sandbox that is being served. Its methods may be called from any thread but the server's.

    Every method sees all calls that were answered before it was called.

    Attributes:
        url: Where it is, without a slash at the end: `http://127.0.0.1:40123`.
    """

    def __init__(self, url: str, sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        """Not to be made but by `running`."""
        self.url = url
        self._sandbox = sandbox
        self._loop = loop

    def summary(self, product: str = "") -> Summary:
        """Count what is kept; `product` is the first 8 characters of a key, or empty for all."""
        return self._ask(lambda: answers.summary(self._sandbox.model, product))

    def person(self, identity: str, product: str = "") -> PersonShown | None:
        """Show all that is kept of one person; None when nobody has this identity."""
        return self._ask(lambda: answers.person(self._sandbox.model, identity, product))

    def events(self, product: str = "") -> list[EventListed]:
        """List event names, the most frequent first."""
        return self._ask(lambda: answers.events(self._sandbox.model, product))

    def not_kept(self, product: str = "", *, limit: int = 100) -> list[NotKeptShown]:
        """List what was not kept, the latest first."""
        return self._ask(lambda: answers.not_kept(self._sandbox.model, product, limit=limit))

    def reset(self) -> None:
        """Forget everything."""
        self._ask(self._sandbox.reset)

    def _ask(self, question: Callable[[], _T]) -> _T:
        """Ask on the server's own loop (which takes a coroutine): between two calls, never in the middle of one."""

        async def answer() -> _T:
            return question()

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result()


@contextmanager
def running(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    revenue_property: str = REVENUE_PROPERTY,
    store: Path | None = None,
) -> Iterator[RunningSandbox]:
    """Run a sandbox for the length of a context.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        revenue_property: The property whose numbers are summed up as revenue.
        store: A file that keeps everything; in memory alone when None.

    Yields:
        The sandbox, once it accepts connections.

    Raises:
        OSError: The address cannot be taken.
        JournalError: The store cannot be used.
        RuntimeError: The server did not start; the log says why.
    """
    with (
        closing(Sandbox(revenue_property=revenue_property, store=store)) as sandbox,
        serving(sandbox, host, port) as it,
    ):
        yield it


@contextmanager
def serving(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> Iterator[RunningSandbox]:
    """Serve a sandbox that is there already, for the length of a context; it is not to be used beside that.

    Yields:
        The sandbox, once it accepts connections.

    Raises:
        OSError: The address cannot be taken.
        RuntimeError: The server did not start; the log says why.
    """
    with bind(host, port) as sock:
        loops: list[asyncio.AbstractEventLoop] = []
        is_settled = threading.Event()

        def ready() -> None:
            loops.append(asyncio.get_running_loop())
            is_settled.set()

        server = Server(sandbox, ready)

        def serve() -> None:
            try:
                server.run(sockets=[sock])
            finally:
                is_settled.set()

        thread = threading.Thread(target=serve, name="kissmetrics-sandbox", daemon=True)
        thread.start()
        is_settled.wait()
        try:
            if not loops:
                raise RuntimeError("the sandbox's server did not start")
            yield RunningSandbox(url_of(sock, host), sandbox, loops[0])
        finally:
            server.should_exit = True
            thread.join()
