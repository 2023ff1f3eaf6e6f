"""`POST /api/v1/orders|executions|transactions`: from a request's bytes to the log, and an answer.

**Effects in order**: 1. events, error records and receipts are appended in one append, 2. the idempotency key is
remembered, 3. the answer. **On crash** after 1 the client does not get its answer and sends again; with its key that
gives the same messages, without it duplicates that the normaliser tells apart.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from functools import partial

from de_platform.http.limits import BodyReader, BodyRefused, require_json
from de_platform.http.responses import Response, json_response
from de_platform.http.routing import Endpoint, Request, query_pairs, refuse_parameters
from de_platform.http.tenancy import tenant_scope
from de_platform.modules.rest_starter.idempotency import HEADER, KeyedBody, checked_key
from de_platform.modules.rest_starter.operations import HEALTH, intake_operation
from de_platform.modules.rest_starter.wire import EventError, Health, Receipt
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.intake import Intake, Rejection, Submission, Tally, receipt, reject, split_events, take_in
from de_platform.pipeline.messages import Message
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.clock.interface import Clock
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface

MAX_LISTED_ERRORS = 1000
_SLICE_EVENTS = 1000
"""Events taken in before other requests get their turn."""


class IntakeApi:
    """Takes in batches."""

    def __init__(
        self,
        queue: MessageQueueInterface,
        cache: CacheInterface,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        *,
        reader: BodyReader | None = None,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._queue = queue
        self._cache = cache
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._reader = reader or BodyReader()
        self._new_id = new_id

    def endpoints(self) -> list[Endpoint]:
        """Serve the three types and the health of this door."""
        doors = [Endpoint.of(intake_operation(each), partial(self._submit, each)) for each in EventType]
        return [*doors, Endpoint.of(HEALTH, self._health)]

    async def _submit(self, event_type: EventType, request: Request) -> Response:
        """Answer one batch. Raises HttpError, InvalidInput for a body that is no batch, and Unavailable."""
        scope, rest = tenant_scope(query_pairs(request))
        refuse_parameters(rest)
        require_json(request)
        key = request.headers.get(HEADER)
        if key is not None:
            key = checked_key(key)
        try:
            async with self._reader.body(request) as body:
                keyed = None if key is None else KeyedBody(key, body, scope=scope, event_type=event_type)
                if keyed is not None:
                    await keyed.refuse_other_body(self._cache, self._log)
                submission = self._submission(scope, event_type, keyed)
                answer = await self._take_in(submission, body)
        except BodyRefused as refusal:
            await self._record(self._submission(scope, event_type, None), refusal.sample, refusal.detail)
            raise
        if keyed is not None:
            await keyed.remember(self._cache, self._log)
        return json_response(answer, headers={"x-submission-id": submission.submission_id})

    def _submission(self, scope: TenantScope, event_type: EventType, keyed: KeyedBody | None) -> Submission:
        return Submission(
            tenant_id=scope.tenant_id,
            event_type=event_type,
            method=IngestionMethod.REST,
            submission_id=self._new_id() if keyed is None else keyed.submission_id,
            received_at=self._clock.now(),
        )

    async def _take_in(self, submission: Submission, body: bytes) -> Receipt:
        try:
            events = split_events(body)
        except InvalidInput as fault:
            await self._record(submission, body, str(fault))
            raise
        messages: list[Message] = []
        rejections: list[Rejection] = []
        tallies: dict[str, Tally] = {}
        accepted = 0
        for start in range(0, len(events), _SLICE_EVENTS):
            if start:
                await asyncio.sleep(0)
            part = events[start : start + _SLICE_EVENTS]
            intake = take_in(submission, part, positions=range(start, start + len(part)))
            messages += intake.messages
            rejections += intake.rejections
            accepted += intake.accepted
            _add(tallies, intake)
        messages += _receipts(submission, tallies)
        if messages:
            await self._queue.publish(messages)
        self._metrics.counter(
            "events_ingested_total",
            accepted,
            service="rest_starter",
            event_type=submission.event_type.value,
            method=IngestionMethod.REST.value,
        )
        return _answer(accepted, rejections)

    async def _record(self, submission: Submission, raw: bytes, reason: str) -> None:
        """Keep a body that is no batch as one error record."""
        refusal = reject(submission, raw, position=0, errors=[FieldError("", reason)])
        await self._queue.publish([refusal, *_receipts(submission, {refusal.key: Tally(0, 1)})])

    async def _health(self, request: Request) -> Response:
        refuse_parameters(query_pairs(request))
        await self._queue.health_check()
        return json_response(Health())


def _add(tallies: dict[str, Tally], intake: Intake) -> None:
    for tenant_id, tally in intake.tallies.items():
        known = tallies.get(tenant_id, Tally(0, 0))
        tallies[tenant_id] = Tally(known.accepted + tally.accepted, known.rejected + tally.rejected)


def _receipts(submission: Submission, tallies: dict[str, Tally]) -> list[Message]:
    return [
        receipt(
            submission,
            tenant_id=tenant_id,
            first_position=0,
            claimed=tally.accepted + tally.rejected,
            accepted=tally.accepted,
            rejected=tally.rejected,
            final=True,
        )
        for tenant_id, tally in tallies.items()
    ]


def _answer(accepted: int, rejections: Sequence[Rejection]) -> Receipt:
    faults = [
        EventError(event_index=rejection.position, field=error.field, message=error.message)
        for rejection in rejections
        for error in rejection.errors
    ]
    return Receipt(
        accepted=accepted,
        rejected=len(rejections),
        errors=faults[:MAX_LISTED_ERRORS],
        errors_left_off=max(0, len(faults) - MAX_LISTED_ERRORS),
    )
