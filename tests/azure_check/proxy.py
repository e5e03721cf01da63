"""A server that stands between a client and another server, and changes what it likes."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TOKENS = (
    "/msi/token"  # where a service of this kind gives tokens: not where an emulator does, so nobody takes it for one
)
PER_CONNECTION = {"transfer-encoding", "content-length", "connection", "keep-alive"}


@dataclass
class Reply:
    method: str
    path: str
    status: int
    headers: httpx.Headers
    body: bytes


Change = Callable[[Reply], object]


@contextlib.contextmanager
def proxy(
    target: str, change: Change = lambda reply: None, instead: Callable[[Request], Reply | None] = lambda _: None
) -> Iterator[str]:
    """The address of a proxy to `target`. `change` may change each reply; `instead` may answer in place of the target.

    It has no control routes, as no real service has; an emulator's tokens are at TOKENS.
    """

    async def forward(request: Request) -> Response:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        reply = instead(request)
        if path.startswith("/_emulator"):
            reply = Reply(request.method, path, 404, httpx.Headers(), b"")
        if reply is None:
            there = path.replace(TOKENS, "/_emulator/identity/token")
            headers = [(name, value) for name, value in request.headers.raw if name != b"accept-encoding"]
            content = await request.body()
            answer = await client.request(request.method, target + there, headers=headers, content=content)
            reply = Reply(request.method, path, answer.status_code, answer.headers, answer.content)
            change(reply)
        kept = {name: value for name, value in reply.headers.items() if name not in PER_CONNECTION}
        return Response(reply.body, reply.status, kept)

    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    app = Starlette(routes=[Route("/{path:path}", forward, methods=methods)])
    client = httpx.AsyncClient(timeout=60, trust_env=False)
    client.headers.clear()  # only the client's own headers shall arrive
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
