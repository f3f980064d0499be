"""The sandbox's HTTP side, Starlette on uvicorn: the tracking API, the JSON API and the page.

`/e`, `/s` and `/a` answer 200 and a GIF whatever comes in, as Kissmetrics does. Parameters of the query and of the body
count together; the body wins, and of a name that is repeated the last one. docs/reference/sandbox.md: what is refused.
"""

import asyncio
import base64
import hashlib
import inspect
import logging
import re
import socket
import time
from collections.abc import Callable
from functools import partial
from importlib import resources
from ipaddress import ip_address
from typing import Any, Final, get_args
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from target_kissmetrics.sandbox import answers, rules
from target_kissmetrics.sandbox.rules import Call, CallPath, SandboxError
from target_kissmetrics.sandbox.service import Sandbox

_LOG: Final = logging.getLogger("kissmetrics-sandbox")

# Of every answer: a browser never takes the data for a page, whatever it sniffs in it.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PIXEL: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_GIF: Final = Response(_PIXEL, media_type="image/gif", headers=_HEADERS)
_TRACKING: Final = get_args(CallPath)
_MAX_PARAMETERS: Final = 2_000
_MAX_LISTED: Final = 10_000
_REQUEST_SECONDS: Final = 30.0


class _Connection(HttpToolsProtocol):
    """A connection that is closed 30 s after it was made, or the last answer ended, without another answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(_REQUEST_SECONDS, transport.abort)

    def on_response_complete(self) -> None:
        self._deadline.cancel()
        self._deadline = self.loop.call_later(_REQUEST_SECONDS, self.transport.abort)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)


_ANSWERS: Final[dict[str, Callable[..., Any]]] = {
    "/api/summary": answers.summary,
    "/api/people": answers.people,
    "/api/people/{identity:path}": partial(answers.person, limit=answers.MAX_OF_A_PERSON),
    "/api/events": answers.events,
    "/api/not-kept": answers.not_kept,
    "/api/not-kept/reasons": answers.losses,
    "/api/calls": answers.calls,
    "/api/months": answers.months,
    "/v3/products": answers.query_products,
    "/v3/products/{product_id}/events": answers.query_events,
}


def _arguments(answer: Callable[..., Any], request: Request) -> dict[str, Any]:
    """Read an answer's arguments, which have the names of the parameters of its path and query."""
    query, arguments = request.query_params, dict(request.path_params)
    most = answers.MAX_OF_A_PERSON if "identity" in arguments else _MAX_LISTED
    for name, parameter in inspect.signature(answer).parameters.items():
        if isinstance(parameter.default, int):
            text = query.get(name) or str(parameter.default)
            if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
                raise HTTPException(400, f"{name} must be a whole number")
            arguments[name] = min(max(0, int(text)), most) if name == "limit" else max(parameter.default, int(text))
        elif isinstance(parameter.default, str):
            arguments[name] = query.get("product" if name == "label" else name, parameter.default)
    return arguments


async def _respond(sandbox: Sandbox, answer: Callable[..., Any], request: Request) -> Response:
    is_login = request.headers.get("authorization", "").lower().startswith("basic ")
    if request.scope["path"].startswith("/v3/") and not is_login:  # the Query API; any user and password will do
        return _json({"status": 401, "messages": ["Unauthenticated."]}, 401)
    content = answer(sandbox.model, **_arguments(answer, request))
    return _json({"error": "nobody has this identity"}, 404) if content is None else _json(content)


async def _track(sandbox: Sandbox, request: Request) -> Response:
    form = [request.scope["query_string"], await request.body() if request.method == "POST" else b""]
    # Invalid percent encoding stays, invalid UTF-8 becomes U+FFFD.
    text = b"&".join(filter(None, form)).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise HTTPException(413, f"a call has at most {_MAX_PARAMETERS} parameters") from None
    parameters, path = dict(pairs), request.scope["path"]
    try:
        sandbox.take(Call(rules.product_of(parameters.get("_k", "")), path, parameters, int(time.time())))
    except SandboxError as error:
        _LOG.error("%s", error)  # the tracking API never answers an error
    return _GIF


async def _reset(sandbox: Sandbox, request: Request) -> Response:
    # Any page in the same browser may send a POST here; only the sandbox's own page may empty it.
    if request.headers.get("origin") not in (None, f"{request.url.scheme}://{request.headers.get('host')}"):
        raise HTTPException(403, "only the sandbox's own page may reset it")
    sandbox.reset()
    return _json({"reset": True})


def _own_hosts(bound: str, host: str) -> re.Pattern[str]:
    """Return what a Host header may be: a loopback name, or what is bound; the port may be a forwarded one."""
    names = ["localhost", r"127(\.\d+){3}", r"\[::1\]", *map(re.escape, (bound, f"[{bound}]", host))]
    if ip_address(bound).is_unspecified:  # an address is safe: no other machine's owner lets it resolve to this one
        names += [r"\d+(\.\d+){3}", r"\[[\da-f:.]+\]", re.escape(socket.gethostname())]
    return re.compile(rf"({'|'.join(names)})\.?(:\d*)?", re.IGNORECASE | re.ASCII)


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

    SandboxError when the host is unknown, or the port in use.
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
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # a comparison
    port = sock.getsockname()[1]
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def make_server(sandbox: Sandbox, sock: socket.socket, host: str) -> uvicorn.Server:
    """Make a server, without starting it: `run(sockets=[sock])` does; `host` is what `sock` was bound to."""
    bound = sock.getsockname()[0]
    if not ip_address(bound).is_loopback:
        _LOG.warning("whoever reaches %s can read and delete all people; without --host, only this machine can", bound)
    own_hosts = _own_hosts(bound, host)
    foreign = _json({"error": "not a host name of this sandbox; use the URL it printed, or name it with --host"}, 403)
    app = Starlette(
        routes=[
            *(Route(path, partial(_track, sandbox), methods=["GET", "POST"]) for path in _TRACKING),
            Route("/", _page(), methods=["GET"]),
            *(Route(path, partial(_respond, sandbox, answer)) for path, answer in _ANSWERS.items()),
            Route("/api/reset", partial(_reset, sandbox), methods=["POST"]),
        ],
        exception_handlers={
            HTTPException: lambda _, error: _json({"error": error.detail}, error.status_code),
            ClientDisconnect: lambda _request, _error: _GIF,
            SandboxError: lambda _, error: _json({"error": str(error)}, 500),
        },
    )
    app.router.redirect_slashes = False

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        is_own = scope["path"] in _TRACKING or own_hosts.fullmatch(Headers(scope=scope).get("host", ""))
        await (app if is_own else foreign)(scope, receive, send)

    config = uvicorn.Config(
        checked, http=_Connection, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    config.timeout_graceful_shutdown = 2
    return uvicorn.Server(config)
