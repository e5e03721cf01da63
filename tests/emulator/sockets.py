"""Answers as bytes, for requests that no client library would send."""

import contextlib
import socket


def answer(client: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(65536):
            received += piece
    return bytes(received)
