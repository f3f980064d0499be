"""A sandbox in a background thread, for tests and demos: docs/reference/sandbox.md has an example."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from target_kissmetrics.sandbox import answers
from target_kissmetrics.sandbox.answers import Json
from target_kissmetrics.sandbox.server import bind, make_server, url_of
from target_kissmetrics.sandbox.service import Sandbox

_Answer = TypeVar("_Answer")


class RunningSandbox:
    """A sandbox that is being served. Its methods may be called from any thread.

    They see all calls that were answered before. `product` is the first 8 characters of a key, or empty for all; `url`
    has no slash at its end.
    """

    def __init__(self, url: str, sandbox: Sandbox) -> None:
        self.url = url
        self._sandbox = sandbox

    def summary(self, product: str = "") -> Json:
        """Count what is kept."""
        return self._ask(answers.summary, label=product)

    def person(self, identity: str, product: str = "") -> Json | None:
        """Return all that is kept of one person; None when nobody has this identity."""
        return self._ask(answers.person, identity=identity, label=product)

    def events(self, product: str = "") -> list[Json]:
        """List event names, the most frequent first."""
        return self._ask(answers.events, label=product)

    def not_kept(self, product: str = "", *, limit: int = 100) -> list[Json]:
        """List what was not kept, the latest first."""
        return self._ask(answers.not_kept, label=product, limit=limit)

    def reset(self) -> None:
        """Delete everything."""
        self._sandbox.reset()

    def _ask(self, answer: Callable[..., _Answer], **arguments: Any) -> _Answer:
        with self._sandbox.lock:
            return answer(self._sandbox.model, **arguments)


@contextmanager
def running(sandbox: Sandbox | None = None, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[RunningSandbox]:
    """Serve a sandbox, a new one in memory when None, for the length of a context, and close it.

    Nothing else may use it meanwhile. Port 0 chooses a free port. SandboxError when the address cannot be used.
    """
    with closing(sandbox or Sandbox()) as served, bind(host, port) as sock:
        server = make_server(served, sock, host)
        thread = threading.Thread(target=server.run, args=[[sock]], name="kissmetrics-sandbox", daemon=True)
        thread.start()
        try:
            yield RunningSandbox(url_of(sock, host), served)
        finally:
            server.should_exit = True
            thread.join()
