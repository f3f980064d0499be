"""The sandbox's HTTP side, Starlette on uvicorn: the tracking API, the JSON API and the page.

`/e`, `/s` and `/a` answer 200 and a 1x1 GIF whatever comes in, by GET and by POST (form-encoded), as Kissmetrics' own
host does (support.kissmetrics.io, "API specifications"). Parameters of the query and of the body count together; the
body wins, and of a name that is repeated the last one. Only a request that the HTTP parser refuses is not a call: raw
bytes outside ASCII in its target, or a target beyond 64 KB. A body has no limit.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import logging
import os
import re
import socket
import time
from collections.abc import Callable
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from target_kissmetrics.sandbox import answers, rules, views
from target_kissmetrics.sandbox.calls import Call, Path
from target_kissmetrics.sandbox.model import Model
from target_kissmetrics.sandbox.service import Sandbox, StoreError

_LOG: Final = logging.getLogger("kissmetrics-sandbox")

_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_MAX_LISTED: Final = 10_000
_MAX_HEAD_BYTES: Final = 1 << 20
_SHUTDOWN_SECONDS: Final = 2


class _Identity(PathConvertor):
    """The rest of a path, whatever it holds: an identity may contain slashes and line breaks."""

    regex = r"(?s:.+)"


register_url_convertor("identity", _Identity())


class _Tracking:
    """One path of the tracking API, as an ASGI application: the fastest way from the socket to the model."""

    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        self._sandbox = sandbox
        self._path = path
        self._answer = Response(_GIF, media_type="image/gif", headers={"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parameters = _decoded(scope["query_string"])
        if scope["method"] == "POST":
            try:
                parameters.update(_decoded(await Request(scope, receive).body()))
            except ClientDisconnect:
                return
        call = Call(rules.product_of(parameters.pop("_k", "")), self._path, parameters, int(time.time()))
        try:
            self._sandbox.take(call)
        except StoreError as error:
            # The tracking API never answers an error.
            _LOG.error("%s", error)
        await self._answer(scope, receive, send)


def _decoded(form: bytes) -> dict[str, str]:
    """Decode form-encoded parameters; invalid percent encoding stays, invalid UTF-8 becomes U+FFFD."""
    return dict(parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"))


class _BadRequestError(Exception):
    """A request to the JSON API that cannot be answered; the text says why."""


class _Query:
    """The parameters of a request to the JSON API."""

    def __init__(self, request: Request) -> None:
        self._query = request.query_params
        self.product = self.text("product")
        self.events = self._query.getlist("event")
        self.identity: str = request.path_params.get("identity", "")

    def text(self, name: str, default: str = "") -> str:
        return self._query.get(name, default)

    def number(self, name: str, default: int) -> int:
        text = self.text(name)
        if text == "":
            return default
        if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
            raise _BadRequestError(f"{name} must be a whole number")
        return int(text)

    @property
    def limit(self) -> int:
        return max(1, min(self.number("limit", 100), _MAX_LISTED))


def _people(model: Model, query: _Query) -> Any:
    return answers.people(model, query.product, limit=query.limit, after=max(query.number("after", -1), -1))


def _person(model: Model, query: _Query) -> Any:
    return answers.person(model, query.identity, query.product)


def _not_kept(model: Model, query: _Query) -> Any:
    return answers.not_kept(model, query.product, limit=query.number("limit", 100), reason=query.text("reason"))


def _calls(model: Model, query: _Query) -> Any:
    return answers.calls(model, query.product, limit=query.limit, path=query.text("path"))


def _timeline(model: Model, query: _Query) -> Any:
    after = max(0, query.number("after", 0))
    return views.timeline(model, query.identity, query.product, limit=query.limit, after=after)


def _events_over_time(model: Model, query: _Query) -> Any:
    names = query.events[: views.MAX_STEPS]
    return views.events_over_time(model, names, query.text("bucket", "day"), query.product)


def _funnel(model: Model, query: _Query) -> Any:
    if not 1 <= len(query.events) <= views.MAX_STEPS:
        raise _BadRequestError(f"a funnel has 1 to {views.MAX_STEPS} parameters named event")
    return views.funnel(model, query.events, query.product)


def _search(model: Model, query: _Query) -> Any:
    if not query.text("text").strip():
        raise _BadRequestError("text must not be empty")
    return views.search(model, query.text("text"), query.product)


_API: Final[dict[str, Callable[[Model, _Query], Any]]] = {
    "/api/summary": lambda model, query: answers.summary(model, query.product),
    "/api/people": _people,
    "/api/people/{identity:identity}": _person,
    "/api/events": lambda model, query: answers.events(model, query.product),
    "/api/not-kept": _not_kept,
    "/api/not-kept/reasons": lambda model, query: answers.losses(model, query.product),
    "/api/calls": _calls,
    "/api/timeline/{identity:identity}": _timeline,
    "/api/events/over-time": _events_over_time,
    "/api/revenue": lambda model, query: views.revenue_by_month(model, query.product),
    "/api/funnel": _funnel,
    "/api/search": _search,
}


def build_app(sandbox: Sandbox) -> Starlette:
    """Build the HTTP side of a sandbox as an ASGI application.

    It runs on one event loop and uses the sandbox there alone.
    """

    def endpoint(answer: Callable[[Model, _Query], Any]) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            content = answer(sandbox.model, _Query(request))
            if inspect.isawaitable(content):
                content = await content
            return _json({"error": "nobody has this identity"}, 404) if content is None else _json(content)

        return respond

    async def reset(request: Request) -> Response:
        # Any page in the same browser may send a POST here; only the sandbox's own page may empty it.
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return _json({"error": "only the sandbox's own page may reset it"}, 403)
        sandbox.reset()
        return _json({"reset": True})

    page = _page()

    async def show_page(_: Request) -> Response:
        return page

    paths: tuple[Path, ...] = ("/e", "/s", "/a")
    app = Starlette(
        routes=[
            *(Route(path, _Tracking(sandbox, path), methods=["GET", "POST"]) for path in paths),
            Route("/", show_page),
            *(Route(path, endpoint(answer)) for path, answer in _API.items()),
            Route("/api/reset", reset, methods=["POST"]),
        ],
        exception_handlers={
            _BadRequestError: lambda _, error: _json({"error": str(error)}, 400),
            StoreError: lambda _, error: _json({"error": str(error)}, 500),
        },
    )
    app.router.redirect_slashes = False
    return app


def _json(content: Any, status: int = 200) -> Response:
    # A browser must never take the data for a page, whatever it sniffs in it.
    return JSONResponse(content, status, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def _page() -> Response:
    """Read the page; its policy allows its own script and nothing else, so no data can run as a script."""
    text = resources.files("target_kissmetrics.sandbox").joinpath("page.html").read_text("utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    policy = f"default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src {allowed}"
    headers = {
        "Content-Security-Policy": policy + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(text, headers=headers)


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 chooses a free one. Connections wait until a server accepts them.

    Raises:
        OSError: The host is unknown, or the port is in use.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # With its protocol: asyncio turns Nagle's algorithm off for such sockets alone.
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # Elsewhere this would let two servers share one port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def url_of(sock: socket.socket, host: str) -> str:
    """Return the URL at which a browser on this machine finds a bound socket; `host` is what it was bound to."""
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # a comparison
    port = sock.getsockname()[1]
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def make_server(sandbox: Sandbox) -> uvicorn.Server:
    """Make a server, without starting it: `run(sockets=[...])` does, on a socket of `bind`."""
    return uvicorn.Server(
        uvicorn.Config(
            build_app(sandbox),
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        )
    )
