"""TCP servers that send what no HTTP server sends."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Talk = Callable[[socket.socket], None]


@contextmanager
def listening(talk: Talk) -> Iterator[str]:
    """A TCP server that reads a request and then does what ``talk`` defines, for each connection; its base URL."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            talk(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def trickling(*beginning: bytes, piece: bytes) -> Talk:
    """A byte or so now and then, each of them in time."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"".join(beginning))
        while True:
            connection.sendall(piece)
            time.sleep(0.02)

    return talk


def flooding(*beginning: bytes, piece: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"".join(beginning))
        while True:
            connection.sendall(piece)

    return talk
