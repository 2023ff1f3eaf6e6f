"""`/health/…`: whether this process lives, and whether the platform can be used."""

import asyncio
from http import HTTPMethod
from typing import Literal, Protocol

import msgspec

from de_platform.http.health_check import fetch_health
from de_platform.http.problems import RETRY_AFTER_SECONDS, HttpError
from de_platform.http.responses import Response, json_response
from de_platform.http.routing import Body, Endpoint, Operation, Request
from de_platform.pipeline.errors import Unavailable
from de_platform.services.alert_store.interface import AlertStore
from de_platform.services.event_store.interface import EventStore
from de_platform.services.secrets.interface import SecretsInterface

HEALTH_URL = "DE_PLATFORM_HEALTH_URL"
CHECK_TIMEOUT_SECONDS = 5.0


class HealthState(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer; a bad one is a problem with status 503."""

    status: Literal["alive", "ready"]


class ChecksReadiness(Protocol):
    """Something that knows whether it can work."""

    async def check_ready(self) -> None:
        """Return when it can. Raises Unavailable."""
        ...


class Readiness:
    """Asks the whole platform where an address for that is set, else what this module needs."""

    def __init__(
        self, events: EventStore, alerts: AlertStore, consumer: ChecksReadiness, secrets: SecretsInterface
    ) -> None:
        self._events = events
        self._alerts = alerts
        self._consumer = consumer
        self._secrets = secrets

    async def check_own(self) -> None:
        """Return when both stores answer and the consumer works. Raises Unavailable."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await self._events.health_check()
                await self._alerts.health_check()
        except TimeoutError as error:
            raise Unavailable("store", f"no answer within {CHECK_TIMEOUT_SECONDS} s") from error
        await self._consumer.check_ready()

    async def ready(self, _: Request) -> Response:
        """Answer 200 when ready. Raises HttpError 503 that says what is not."""
        url = self._secrets.get(HEALTH_URL)
        try:
            await (_check_platform(url) if url else self.check_own())
        except Unavailable as error:
            raise HttpError(503, f"not ready: {error}", headers={"retry-after": str(RETRY_AFTER_SECONDS)}) from error
        return json_response(HealthState(status="ready"))

    async def live(self, _: Request) -> Response:
        """Answer 200: whoever can answer lives."""
        return json_response(HealthState(status="alive"))


async def _check_platform(url: str) -> None:
    status, body = await fetch_health(url)
    if status != 200:
        raise Unavailable("platform", body.decode("utf-8", errors="replace")[:300] or f"status {status}")


def health_endpoints(readiness: Readiness) -> list[Endpoint]:
    """Serve both questions."""
    return [
        Endpoint.of(
            Operation(
                method=HTTPMethod.GET,
                path="/health/ready",
                operation_id="get_readiness",
                summary="Say whether the platform can be used",
                tag="health",
                responses={
                    200: Body(shape=HealthState, description="All of it is ready.", example=HealthState(status="ready"))
                },
                problems=(503,),
            ),
            readiness.ready,
        ),
        Endpoint.of(
            Operation(
                method=HTTPMethod.GET,
                path="/health/live",
                operation_id="get_liveness",
                summary="Say whether this process answers",
                tag="health",
                responses={200: Body(shape=HealthState, description="It does.", example=HealthState(status="alive"))},
            ),
            readiness.live,
        ),
    ]
