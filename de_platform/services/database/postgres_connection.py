"""A connection to PostgreSQL that never waits for ever, and how one is asked for."""

import asyncio
import os
import select
import socket
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo

from de_platform.services.database.interface import Row
from de_platform.services.database.settings import ANSWER_TIMEOUT_SECONDS, PostgresSettings

Result = TypeVar("Result")

CONNECT_TIMEOUT_SECONDS = 5
_LOOK_EVERY_SECONDS = 0.1


class BoundedConnection(AsyncConnection[Row]):
    """Gives up a server that does not answer: a stalled machine keeps its connections open and says nothing.

    The connection is cut then, so it is lost and the statement may or may not have happened, as when a server dies.
    """

    answer_timeout_seconds: float = ANSWER_TIMEOUT_SECONDS

    async def wait(
        self,
        gen: PQGen[Result],
        interval: float = _LOOK_EVERY_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109 - the driver's signature
    ) -> Result:
        """Wait for the server. Raises psycopg.OperationalError when that takes longer than the timeout."""
        limit_seconds = self.answer_timeout_seconds
        is_cut = False

        def cut() -> None:
            nonlocal is_cut
            is_cut = True
            _shut_down(self.pgconn.socket)

        timer = asyncio.get_running_loop().call_later(limit_seconds, cut)
        try:
            return await super().wait(gen, interval, timeout)
        except psycopg.OperationalError as error:
            if is_cut:
                raise psycopg.OperationalError(f"no answer within {limit_seconds:g} s") from error
            raise
        finally:
            timer.cancel()


async def check_idle(connection: BoundedConnection) -> None:
    """Raise psycopg.Error for a connection that the server has left. An idle server says nothing unless it leaves."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    if poll.poll(0):
        await connection.execute(b"")


def connection_string(settings: PostgresSettings, database: str | None = None) -> str:
    """Return libpq's connection string, password included; a connection that is half open is given up in seconds."""
    return make_conninfo(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        password=settings.password or None,
        dbname=database or settings.database,
        sslmode=settings.sslmode.value,
        sslrootcert=settings.sslrootcert or None,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        keepalives_idle=10,
        keepalives_interval=3,
        keepalives_count=3,
        tcp_user_timeout=10_000,
        application_name="de_platform",
        options="-c timezone=UTC",
    )


def _shut_down(descriptor: int) -> None:
    """End both directions of a socket that somebody else owns, who then reads its end."""
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
