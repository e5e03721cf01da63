"""A bare ASGI application: stores what is posted, sends the answer it was given. No server of this kind can be faster.

It knows nothing of DICOM and asks for no token. PUT of anything makes its body the answer to each GET that follows.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

CHUNK = 1 << 20  # bytes of a file that are sent at a time
IN_MEMORY = 1 << 17  # bytes; a larger answer lies in a file, as images do
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Bare:
    def __init__(self, folder: Path):
        self.folder = folder
        self.stored = 0
        self.answer = b""
        self.length = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await self.send_answer(send)
            return
        self.stored += 1
        path = self.folder / ("answer" if scope["method"] == "PUT" else str(self.stored))
        with path.open("wb", buffering=0) as file:
            more = True
            while more:
                message = await receive()
                file.write(message.get("body", b""))
                more = message.get("more_body", False)
        if scope["method"] == "PUT":
            self.length = path.stat().st_size
            self.answer = path.read_bytes() if self.length <= IN_MEMORY else b""
        await start(send, 2)
        await send({"type": "http.response.body", "body": b"{}"})

    async def send_answer(self, send: Send) -> None:
        await start(send, self.length)
        if self.answer:
            await send({"type": "http.response.body", "body": self.answer})
            return
        with (self.folder / "answer").open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})


async def start(send: Send, length: int) -> None:
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


class Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"ready at http://127.0.0.1:{port}", flush=True)


def main() -> None:
    """Takes the folder to write to; picks a free port and says which."""
    folder = Path(sys.argv[1])
    os.makedirs(folder, exist_ok=True)
    # uvicorn chooses event loop and HTTP parser as it does for the emulator: the fastest that are installed.
    config = uvicorn.Config(Bare(folder), port=0, lifespan="off", log_level="warning", access_log=False)
    Server(config).run()


if __name__ == "__main__":
    main()
