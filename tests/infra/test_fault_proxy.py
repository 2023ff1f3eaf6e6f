"""The fault proxy does what each of its faults is named for, to connections that are open and to new ones."""

import socket
import socketserver
import threading
import time
from collections.abc import Generator

import pytest

from tests.helpers.fault_proxy import HOST, FaultProxy

PATIENCE_SECONDS = 10.0
SILENCE_SECONDS = 0.15


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while data := self.request.recv(65_536):
                self.request.sendall(data)
        except ConnectionError:
            return


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def echo() -> Generator[int]:
    with EchoServer((HOST, 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: int) -> Generator[FaultProxy]:
    with FaultProxy(echo) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Generator[socket.socket]:
    with connected(proxy) as client:
        yield client


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=PATIENCE_SECONDS)


def echoed(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return received(client, len(data))


def received(client: socket.socket, length: int) -> bytes:
    with client.makefile("rb") as stream:
        return stream.read(length)


def is_silent(client: socket.socket) -> bool:
    client.settimeout(SILENCE_SECONDS)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(PATIENCE_SECONDS)
    return False


def test_data_passes_in_both_directions(client: socket.socket) -> None:
    assert echoed(client, b"hello") == b"hello"


def test_more_data_than_any_buffer_passes_whole(client: socket.socket) -> None:
    data = bytes(range(256)) * 20_000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    assert received(client, len(data)) == data
    sender.join()


def test_end_of_one_direction_is_passed_on(client: socket.socket) -> None:
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert received(client, 100) == b"last words"


def test_cut_resets_an_open_connection(proxy: FaultProxy, client: socket.socket) -> None:
    echoed(client, b"x")
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_cut_refuses_a_new_connection(proxy: FaultProxy) -> None:
    proxy.cut()
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)


def test_healed_cut_accepts_connections_on_the_same_port(proxy: FaultProxy) -> None:
    port = proxy.port
    proxy.cut()
    proxy.heal()
    with connected(proxy) as client:
        assert (echoed(client, b"again"), proxy.port) == (b"again", port)


def test_frozen_connection_is_silent(proxy: FaultProxy, client: socket.socket) -> None:
    echoed(client, b"x")
    proxy.freeze()
    client.sendall(b"y")
    assert is_silent(client)


def test_healed_freeze_delivers_what_was_held_back(proxy: FaultProxy, client: socket.socket) -> None:
    echoed(client, b"x")
    proxy.freeze()
    client.sendall(b"held")
    assert is_silent(client)
    proxy.heal()
    assert received(client, 4) == b"held"


def test_frozen_proxy_accepts_a_new_connection_in_silence(proxy: FaultProxy) -> None:
    proxy.freeze()
    with connected(proxy) as client:
        client.sendall(b"x")
        assert is_silent(client)


def test_frozen_connection_can_be_cut(proxy: FaultProxy, client: socket.socket) -> None:
    echoed(client, b"x")
    proxy.freeze()
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_delay_holds_each_direction_back(proxy: FaultProxy, client: socket.socket) -> None:
    echoed(client, b"x")
    proxy.delay(0.05)
    began = time.monotonic()
    echoed(client, b"y")
    assert time.monotonic() - began >= 0.1


def test_client_of_an_absent_target_is_reset(proxy: FaultProxy) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with FaultProxy(port) as lost, pytest.raises(ConnectionResetError), connected(lost) as client:
        client.recv(1)


def test_connections_are_counted_while_they_are_open(proxy: FaultProxy, client: socket.socket) -> None:
    echoed(client, b"x")
    assert proxy.open_connections == 1


def test_leaving_frees_the_port(echo: int) -> None:
    with FaultProxy(echo) as proxy:
        port = proxy.port
    with socket.create_server((HOST, port)) as listener:
        assert listener.getsockname()[1] == port
