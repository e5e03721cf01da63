"""sendfile(2) beside an event loop: what the system has in memory of a file goes to a client without being copied here.

The transport of a connection offers no such thing, so its socket is used past it. The same goes for waiting until the
client has taken something: an event loop that watches a socket beside its transport may stop in silence when the client
resets the connection (uvloop does), so it watches a selector of the system's, which watches the socket.
"""

import asyncio
import os
import socket
import sys
from typing import cast

if sys.platform == "linux":
    import select

    MORE = socket.MSG_MORE  # more follows at once: to be put into packets with it
    EVENTS = select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLONESHOT
    GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


def offers_sendfile(transport: asyncio.BaseTransport) -> bool:
    """Whether what is written to the socket of a connection reaches the client as it is: not with TLS."""
    return sys.platform == "linux" and transport.get_extra_info("sslcontext") is None


class DirectSocket:
    """The socket of a connection, past its transport: for one answer, when the transport has nothing left to write.

    Under a number of its own: the transport's may belong to another client as soon as the transport is closed.
    Its methods raise ConnectionError when the client has left, or has said that it will send nothing more, which
    transports take for the same.
    """

    def __init__(self, transport: asyncio.BaseTransport):
        self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._socket.setblocking(False)
        self._poll: select.epoll | None = None
        self._writable: asyncio.Future[None] | None = None

    async def send(self, content: bytes, more: bool) -> None:
        """Send bytes; `more` says whether others follow at once."""
        left = memoryview(content)
        while left:
            try:
                left = left[self._socket.send(left, MORE if more else 0) :]
            except BlockingIOError:
                await self._wait()

    async def send_file(self, file: int, offset: int, count: int) -> None:
        """Send `count` bytes of a file, which is given by its number. Raises OSError if it has not as many."""
        while count:
            try:
                sent = os.sendfile(self._socket.fileno(), file, offset, count)
            except BlockingIOError:
                await self._wait()
                continue
            if not sent:
                raise OSError(f"the file ends {count} bytes early")
            offset, count = offset + sent, count - sent

    async def _wait(self) -> None:
        """Wait until the socket takes something, or raise ConnectionError."""
        loop = asyncio.get_running_loop()
        self._writable = loop.create_future()
        if self._poll is None:
            self._poll = select.epoll()
            self._poll.register(self._socket, EVENTS)
            loop.add_reader(self._poll.fileno(), self._wake)
        else:
            self._poll.modify(self._socket, EVENTS)
        await self._writable

    def _wake(self) -> None:
        events = cast(select.epoll, self._poll).poll(0)
        if not self._writable or self._writable.done() or not events:
            return
        if events[0][1] & GONE:
            self._writable.set_exception(ConnectionResetError("the client has left"))
        else:
            self._writable.set_result(None)

    def close(self) -> None:
        if self._poll:
            asyncio.get_running_loop().remove_reader(self._poll.fileno())
            self._poll.close()
        self._socket.close()
