"""Connections that are kept: what is tried on them, and what is not."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from smsquest_cli.connections import Connections
from smsquest_cli.wire import ExchangeError, Request

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def connections():
    made = Connections()
    yield made
    made.close()


def send(connections, url, *, seconds=5.0):
    return connections.send(
        Request("GET", url), connect_timeout=1, deadline=time.monotonic() + seconds
    )


def test_what_is_no_url_is_no_host(connections):
    """An address that cannot be read is told as one that cannot be found."""
    with pytest.raises(ExchangeError, match="dns"):
        send(connections, "http://[::1/")


def test_nothing_is_tried_when_the_time_is_over(connections):
    """A deadline in the past is a time-out at once."""
    with pytest.raises(ExchangeError, match="timeout"):
        send(connections, "http://127.0.0.1:1/", seconds=-1)


def test_a_connection_that_breaks_in_use_is_replaced_once(connections, monkeypatch):
    """It was open when it was taken: the request goes out again, on a new one."""
    monkeypatch.setattr("smsquest_cli.connections.CLOSED_SECONDS", 10.0)  # it is soon enough
    with socket.create_server(("127.0.0.1", 0)) as listener:
        requests = []

        def serve():
            for keeps in (True, False):
                connection, _ = listener.accept()
                with connection:
                    requests.append(connection.recv(4096))
                    connection.sendall(ANSWER)
                    if keeps:  # the next request is read, and then the connection is gone
                        requests.append(connection.recv(4096))

        server = threading.Thread(target=serve)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        answers = [send(connections, url).body, send(connections, url).body]
        server.join(5)

    assert answers == [b"ok", b"ok"]
    assert len(requests) == 3


@pytest.mark.parametrize(
    "last_words", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbeg", None], ids=["half", "late"]
)
def test_what_an_app_has_in_hand_is_not_sent_again(connections, monkeypatch, last_words):
    """An app that answered by half, or took its time and died, may have acted on the request."""
    if last_words is None:
        monkeypatch.setattr("smsquest_cli.connections.CLOSED_SECONDS", -1.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        requests = []

        def serve():
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(4096))
                connection.sendall(ANSWER)
                requests.append(connection.recv(4096))
                connection.sendall(last_words or b"")
                reset = struct.pack("ii", 1, 0)  # as when a process is killed
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

        server = threading.Thread(target=serve)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert send(connections, url).body == b"ok"
        with pytest.raises(ExchangeError, match="protocol"):
            send(connections, url)
        server.join(5)

    assert len(requests) == 2


def test_what_came_while_a_connection_rested_is_no_answer(connections):
    """Some servers say 408 before they close it: the next request is not answered by that."""
    answered, said = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            rested, _ = listener.accept()
            with rested:
                rested.recv(4096)
                rested.sendall(ANSWER)
                assert answered.wait(10)
                rested.sendall(ANSWER.replace(b"200 OK", b"408 Timeout"))
                said.set()
                fresh, _ = listener.accept()
                with fresh:
                    fresh.recv(4096)
                    fresh.sendall(ANSWER)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        statuses = [send(connections, url).status]
        answered.set()
        assert said.wait(10)
        statuses.append(send(connections, url).status)
        server.join(5)

    assert statuses == [200, 200]


def test_a_connection_that_has_rested_long_is_not_used_again(connections, monkeypatch):
    """Many a server closes it just then, and what is sent on it is lost."""
    monkeypatch.setattr("smsquest_cli.connections.REST_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        more = []

        def serve():
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(ANSWER)
                    more.append(connection.recv(4096))

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        for _ in range(2):
            assert send(connections, url).body == b"ok"
        connections.close()
        server.join(5)

    assert more == [b"", b""]


def test_after_closing_nothing_is_kept():
    """What is used later is closed at once."""
    connections = Connections()
    connections.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = []

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(ANSWER)
                ended.append(connection.recv(4096))

        server = threading.Thread(target=serve)
        server.start()
        send(connections, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        server.join(5)

    assert ended == [b""]
