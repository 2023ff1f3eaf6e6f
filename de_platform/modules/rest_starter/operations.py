"""What clients of the intake are told."""

from http import HTTPMethod

import msgspec

from de_platform import __version__
from de_platform.http.openapi import ApiInfo
from de_platform.http.routing import Body, Operation, Parameter
from de_platform.http.tenancy import TENANT_PARAMETER
from de_platform.modules.rest_starter.wire import (
    WIRE_EXAMPLES,
    EventError,
    Executions,
    Health,
    Orders,
    Receipt,
    Transactions,
)
from de_platform.pipeline.events import EventType

API_INFO = ApiInfo(
    title="DE Platform intake",
    version=__version__,
    description=(
        "Takes in events in batches of up to 32 MiB; a few hundred to a few thousand at a time serve best. "
        "Bodies may be compressed (`Content-Encoding: gzip`)."
        "\n\n"
        "A batch is taken in event by event: faulty ones are named in the answer and kept as error records, the others "
        "are durable once the answer is 200. An answer that got lost is no reason to worry: send the same body with "
        "the same `Idempotency-Key` again and nothing happens twice."
        "\n\n"
        "503 means that nothing was decided: send the same again after `Retry-After`."
    ),
    tags={"intake": "Bring events in.", "health": "Whether events can be brought in."},
)

_SHAPES = {
    EventType.ORDER: Orders,
    EventType.EXECUTION: Executions,
    EventType.TRANSACTION: Transactions,
}

_IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    place="header",
    description=(
        "Names this batch. The same key with the same body is the same submission, however often it is sent; "
        "with another body it is refused (422) for a day."
    ),
    schema={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
)

_BOUND_TENANT = msgspec.structs.replace(
    TENANT_PARAMETER, description="The tenant that every event must name; without it, events speak for themselves."
)

_RECEIPT = Receipt(
    accepted=1, rejected=1, errors=[EventError(event_index=1, field="currency", message="is not an ISO 4217 code")]
)


def intake_operation(event_type: EventType) -> Operation:
    """Document the intake of one type of event."""
    shape = _SHAPES[event_type]
    return Operation(
        method=HTTPMethod.POST,
        path=f"/api/v1/{event_type.plural}",
        operation_id=f"submit_{event_type.plural}",
        summary=f"Submit {event_type.plural}",
        description="Every event is accepted or rejected on its own; the answer names each fault by the event's index.",
        tag="intake",
        parameters=(_IDEMPOTENCY_KEY, _BOUND_TENANT),
        request=Body(shape=shape, description=f"A batch of {event_type.plural}.", example=WIRE_EXAMPLES[shape]),
        responses={200: Body(shape=Receipt, description="What became of the events.", example=_RECEIPT)},
        problems=(400, 408, 413, 415, 422, 503),
    )


HEALTH = Operation(
    method=HTTPMethod.GET,
    path="/api/v1/health",
    operation_id="get_health",
    summary="Say whether events can be taken in",
    tag="health",
    responses={200: Body(shape=Health, description="They can.", example=Health())},
    problems=(503,),
)
