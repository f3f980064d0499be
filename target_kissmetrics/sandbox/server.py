"""The sandbox's HTTP side: the tracking API, the JSON API and the page.

`/e`, `/s` and `/a` answer 200 and a 1x1 GIF whatever comes in, by GET and by POST (form-encoded), as Kissmetrics' own
host does (support.kissmetrics.io, "API specifications"). Parameters of the query and of the body count together; the
body wins, and of a name that is repeated the last one. Only what is no HTTP request at all (raw bytes outside ASCII in
its target, say), or has a target beyond 64 KB, is refused by the HTTP parser before it is a call; a POST has no limit.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import re
import socket
import time
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from target_kissmetrics.sandbox import answers, rules, views
from target_kissmetrics.sandbox.journal import JournalError
from target_kissmetrics.sandbox.model import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from target_kissmetrics.sandbox.model import Path
    from target_kissmetrics.sandbox.service import Sandbox

_LOG: Final = logging.getLogger("kissmetrics-sandbox")

_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_MOST_LISTED: Final = 10_000
_USUALLY_LISTED: Final = 100
_LARGEST_HEAD: Final = 1 << 20
_SECONDS_TO_FINISH: Final = 2
"""How long requests that are under way may take once the server is told to stop."""


class _Identity(Convertor[str]):
    """The rest of a path, whatever it holds: an identity may contain slashes and line breaks."""

    regex = r"(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("kissmetrics_identity", _Identity())


class _Tracking:
    """One path of the tracking API, as an ASGI application: nothing stands between the socket and the model."""

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
        except JournalError as error:
            # The tracking API never answers an error; whoever runs the sandbox is told instead.
            _LOG.error("%s", error)
        await self._answer(scope, receive, send)


class _BadRequestError(Exception):
    """A request to the JSON API that cannot be answered; the text says why."""


class _Api:
    """The JSON API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def summary(self, request: Request) -> Response:
        return _json(answers.summary(self._sandbox.model, _product(request)))

    async def people(self, request: Request) -> Response:
        limit, after = _whole(request, "limit", _USUALLY_LISTED), _whole(request, "after", -1)
        page = answers.people(
            self._sandbox.model, _product(request), limit=max(1, min(limit, _MOST_LISTED)), after=max(after, -1)
        )
        return _json(page)

    async def person(self, request: Request) -> Response:
        found = answers.person(self._sandbox.model, request.path_params["identity"], _product(request))
        return _json({"error": "nobody has this identity"}, 404) if found is None else _json(found)

    async def events(self, request: Request) -> Response:
        return _json(answers.events(self._sandbox.model, _product(request)))

    async def not_kept(self, request: Request) -> Response:
        limit, reason = _whole(request, "limit", _USUALLY_LISTED), request.query_params.get("reason", "")
        return _json(answers.not_kept(self._sandbox.model, _product(request), limit=limit, reason=reason))

    async def calls(self, request: Request) -> Response:
        path = request.query_params.get("path", "")
        return _json(views.calls(self._sandbox.model, _product(request), limit=_limit(request), path=path))

    async def losses(self, request: Request) -> Response:
        return _json(views.losses(self._sandbox.model, _product(request)))

    async def timeline(self, request: Request) -> Response:
        found = views.timeline(
            self._sandbox.model,
            request.path_params["identity"],
            _product(request),
            limit=_limit(request),
            after=max(0, _whole(request, "after", 0)),
        )
        return _json({"error": "nobody has this identity"}, 404) if found is None else _json(found)

    async def events_over_time(self, request: Request) -> Response:
        names = request.query_params.getlist("event")[: views.MOST_STEPS]
        bucket = request.query_params.get("bucket", "day")
        return _json(views.events_over_time(self._sandbox.model, names, bucket, _product(request)))

    async def revenue(self, request: Request) -> Response:
        return _json(views.revenue_by_month(self._sandbox.model, _product(request)))

    async def funnel(self, request: Request) -> Response:
        steps = request.query_params.getlist("event")
        if not 1 <= len(steps) <= views.MOST_STEPS:
            raise _BadRequestError(f"a funnel has 1 to {views.MOST_STEPS} parameters named event")
        return await _part_by_part(views.Funnel(self._sandbox.model, steps, _product(request)))

    async def search(self, request: Request) -> Response:
        text = request.query_params.get("text", "")
        if not text.strip():
            raise _BadRequestError("text must hold what to look for")
        return await _part_by_part(views.Search(self._sandbox.model, text, _product(request)))

    async def reset(self, request: Request) -> Response:
        # Any page in the same browser may send a POST here; only the sandbox's own page may empty it.
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return _json({"error": "a reset is not taken from another site's page"}, 403)
        self._sandbox.reset()
        return _json({"reset": True})


def build_app(sandbox: Sandbox) -> Starlette:
    """Put the HTTP side of a sandbox together, as an ASGI application.

    It runs on one event loop and uses the sandbox there alone.
    """
    api = _Api(sandbox)
    page = _page()

    async def show_page(_: Request) -> Response:
        return page

    paths: tuple[Path, ...] = ("/e", "/s", "/a")
    app = Starlette(
        routes=[
            *(Route(path, _Tracking(sandbox, path), methods=["GET", "POST"]) for path in paths),
            Route("/", show_page),
            Route("/api/summary", api.summary),
            Route("/api/people", api.people),
            Route("/api/people/{identity:kissmetrics_identity}", api.person),
            Route("/api/events", api.events),
            Route("/api/not-kept", api.not_kept),
            Route("/api/not-kept/reasons", api.losses),
            Route("/api/calls", api.calls),
            Route("/api/timeline/{identity:kissmetrics_identity}", api.timeline),
            Route("/api/events/over-time", api.events_over_time),
            Route("/api/revenue", api.revenue),
            Route("/api/funnel", api.funnel),
            Route("/api/search", api.search),
            Route("/api/reset", api.reset, methods=["POST"]),
        ],
        exception_handlers={_BadRequestError: _bad_request, JournalError: _journal_error},
    )
    app.router.redirect_slashes = False
    return app


def bind(host: str, port: int) -> socket.socket:
    """Take an address; port 0 takes a free one. Nothing is accepted yet.

    Raises:
        OSError: The host is unknown, or the port is in use.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # Elsewhere this would let two servers share one port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def url_of(sock: socket.socket, host: str) -> str:
    """Return the URL at which a browser on this machine finds a bound socket; `host` is what it was bound to."""
    shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # a comparison
    port = sock.getsockname()[1]
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


class Server(uvicorn.Server):
    """uvicorn, on a socket that is bound already, which tells when it accepts connections."""

    def __init__(self, sandbox: Sandbox, on_ready: Callable[[], None]) -> None:
        """Make it, without starting it: `run(sockets=[...])` does.

        Args:
            sandbox: What it serves.
            on_ready: Called once, on the server's own event loop, when connections are accepted.
        """
        super().__init__(
            uvicorn.Config(
                build_app(sandbox),
                access_log=False,
                log_config=None,
                lifespan="off",
                server_header=False,
                ws="none",
                timeout_graceful_shutdown=_SECONDS_TO_FINISH,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, and tell so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


def _decoded(form: bytes) -> dict[str, str]:
    """Decode form-encoded parameters; what is no percent encoding stays, what is no UTF-8 becomes U+FFFD."""
    return dict(parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"))


def _product(request: Request) -> str:
    return request.query_params.get("product", "")


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if text == "":
        return default
    if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
        raise _BadRequestError(f"{name} must be a whole number")
    return int(text)


def _limit(request: Request) -> int:
    return max(1, min(_whole(request, "limit", _USUALLY_LISTED), _MOST_LISTED))


async def _part_by_part(work: views.Funnel | views.Search) -> Response:
    """Work on an answer in parts, so that calls that arrive meanwhile need not wait for the whole."""
    while work.go_on():  # noqa: ASYNC110 - nothing is waited for, others get their turn
        await asyncio.sleep(0)
    return _json(work.answer())


def _json(content: Any, status: int = 200) -> Response:
    # Data is hostile: it must never be taken for a page, whatever a browser sniffs in it.
    return JSONResponse(content, status, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def _bad_request(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 400)


def _journal_error(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 500)


def _page() -> Response:
    """Read the page, and allow its own script and nothing else: no data can bring a script along."""
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
