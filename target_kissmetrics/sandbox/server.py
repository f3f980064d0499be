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
import re
import socket
import time
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any, Final, get_args
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from target_kissmetrics.sandbox import answers, rules, views
from target_kissmetrics.sandbox.calls import Call, Path, SandboxError
from target_kissmetrics.sandbox.model import Model
from target_kissmetrics.sandbox.service import Sandbox

_LOG: Final = logging.getLogger("kissmetrics-sandbox")

_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of everything but the GIF: a browser never takes the data for a page, whatever it sniffs in it."""

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
        self._sandbox, self._path = sandbox, path
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
        except SandboxError as error:
            _LOG.error("%s", error)  # the tracking API never answers an error
        await self._answer(scope, receive, send)


def _decoded(form: bytes) -> dict[str, str]:
    """Decode form-encoded parameters; invalid percent encoding stays, invalid UTF-8 becomes U+FFFD."""
    return dict(parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"))


class _Query:
    """The parameters of a request to the JSON API."""

    def __init__(self, request: Request) -> None:
        self._query = request.query_params
        self.product = self.text("product")
        self.events = self._query.getlist("event")
        self.identity: str = request.path_params.get("identity", "")

    def text(self, name: str, default: str = "") -> str:
        return self._query.get(name, default)

    def number(self, name: str, default: int, least: int = 0) -> int:
        text = self.text(name) or str(default)
        if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
            raise HTTPException(400, f"{name} must be a whole number")
        return max(least, int(text))

    @property
    def limit(self) -> int:
        return min(self.number("limit", 100, least=1), _MAX_LISTED)


def _funnel(model: Model, query: _Query) -> Awaitable[list[answers.Json]]:
    if not 1 <= len(query.events) <= views.MAX_STEPS:
        raise HTTPException(400, f"a funnel has 1 to {views.MAX_STEPS} parameters named event")
    return views.funnel(model, query.events, query.product)


def _search(model: Model, query: _Query) -> Awaitable[answers.Json]:
    if not query.text("text").strip():
        raise HTTPException(400, "text must not be empty")
    return views.search(model, query.text("text"), query.product)


_Answer = Callable[[Model, _Query], Any]

_API: Final[dict[str, _Answer]] = {
    "/api/summary": lambda model, query: answers.summary(model, query.product),
    "/api/people": lambda model, query: answers.people(
        model, query.product, limit=query.limit, after=query.number("after", -1, least=-1)
    ),
    "/api/people/{identity:identity}": lambda model, query: answers.person(model, query.identity, query.product),
    "/api/events": lambda model, query: answers.events(model, query.product),
    "/api/not-kept": lambda model, query: answers.not_kept(
        model, query.product, limit=query.number("limit", 100), reason=query.text("reason")
    ),
    "/api/not-kept/reasons": lambda model, query: answers.losses(model, query.product),
    "/api/calls": lambda model, query: answers.calls(model, query.product, limit=query.limit, path=query.text("path")),
    "/api/timeline/{identity:identity}": lambda model, query: views.timeline(
        model, query.identity, query.product, limit=query.limit, after=query.number("after", 0)
    ),
    "/api/events/over-time": lambda model, query: views.events_over_time(
        model, query.events[: views.MAX_STEPS], query.text("bucket", "day"), query.product
    ),
    "/api/revenue": lambda model, query: views.revenue_by_month(model, query.product),
    "/api/funnel": _funnel,
    "/api/search": _search,
}


def build_app(sandbox: Sandbox) -> Starlette:
    """Build the HTTP side of a sandbox: an ASGI application that uses the sandbox on its event loop alone."""

    def endpoint(answer: _Answer) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            answered = answer(sandbox.model, _Query(request))
            content = await answered if inspect.isawaitable(answered) else answered
            if content is None:
                raise HTTPException(404, "nobody has this identity")
            return _json(content)

        return respond

    async def reset(request: Request) -> Response:
        # Any page in the same browser may send a POST here; only the sandbox's own page may empty it.
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            raise HTTPException(403, "only the sandbox's own page may reset it")
        sandbox.reset()
        return _json({"reset": True})

    app = Starlette(
        routes=[
            *(Route(path, _Tracking(sandbox, path), methods=["GET", "POST"]) for path in get_args(Path)),
            Route("/", _page(), methods=["GET"]),
            *(Route(path, endpoint(answer)) for path, answer in _API.items()),
            Route("/api/reset", reset, methods=["POST"]),
        ],
        exception_handlers={
            HTTPException: lambda _, error: _json({"error": error.detail}, error.status_code),
            SandboxError: lambda _, error: _json({"error": str(error)}, 500),
        },
    )
    app.router.redirect_slashes = False
    return app


def _json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status, headers=_HEADERS)


def _page() -> Response:
    """Read the page; its policy allows its own script and nothing else, so no data can run as a script."""
    text = resources.files("target_kissmetrics.sandbox").joinpath("page.html").read_text("utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, **_HEADERS})


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 chooses a free one. Connections wait until a server accepts them.

    Raises:
        SandboxError: The host is unknown, or the port is in use.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.create_server(address[:2], family=family)
    except OSError as error:
        raise SandboxError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; name another with --host and --port "
            "(0 takes a free port)"
        ) from error
    # Accepted connections inherit it: no answer waits for an acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
