"""`de-platform errors`: look at refused events, and send them once more after the cause was mended."""

import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import Annotated

import msgspec
from cyclopts import Parameter

from de_platform.cli.apps import make_app
from de_platform.cli.error_query import ErrorFilters, find_errors
from de_platform.cli.exit_codes import ExitCode
from de_platform.cli.global_flags import GlobalFlags
from de_platform.cli.output import OutputFlag, OutputFormat, print_rows
from de_platform.cli.running import running_platform, with_services
from de_platform.config.container import Container
from de_platform.pipeline.error_records import ErrorRecord
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.messages import Message
from de_platform.pipeline.replay import replay
from de_platform.services.clock.interface import Clock
from de_platform.services.event_store.interface import EventStore
from de_platform.services.message_queue.interface import MessageQueueInterface

EXAMPLES = """Examples:

    de-platform errors list
    de-platform errors list --tenant acme --field currency --since 24h
    de-platform errors list --text "no rate" -o ndjson --limit 100000 > errors.ndjson
    de-platform errors replay --text "no rate" --dry-run
    de-platform errors replay --text "no rate"
"""
COLUMNS = ["created_at", "tenant_id", "event_type", "stage", "submission_id", "position", "message_id", "faults"]
DATA_COLUMNS = [*COLUMNS, "ingestion_method", "origin", "raw_data"]
PUBLISHED_TOGETHER = 1000

app = make_app("errors", EXAMPLES)


class ReplaySummary(msgspec.Struct, kw_only=True):
    """What a replay did, one JSON line on stdout."""

    found: int = 0
    replayed: int = 0
    still_refused: int = 0
    dry_run: bool = False


@app.command(name="list")
def list_errors(
    *,
    filters: ErrorFilters | None = None,
    limit: Annotated[int, Parameter(help="records at most, newest first")] = 50,
    output: OutputFlag = OutputFormat.TABLE,
    flags: GlobalFlags | None = None,
) -> int:
    """List error records, newest first."""

    async def listed(container: Container) -> list[ErrorRecord]:
        store, clock = await container.resolve(EventStore), await container.resolve(Clock)
        found = find_errors(store, filters or ErrorFilters(), now=clock.now(), descending=True, limit=limit)
        return [record async for record in found]

    records = with_services(running_platform(flags), listed)
    print_rows(map(row_of, records), COLUMNS if output is OutputFormat.TABLE else DATA_COLUMNS, output)
    return ExitCode.OK


@app.command(name="replay")
def replay_errors(
    *,
    filters: ErrorFilters | None = None,
    dry_run: Annotated[bool, Parameter(help="say what would be sent, send nothing", negative=())] = False,
    flags: GlobalFlags | None = None,
) -> int:
    """Send refused events through the pipeline once more, oldest first, under their own message ids.

    An event that is valid now, or whose missing rate was loaded, is processed; one that was processed
    meanwhile is dropped. Safe to repeat.
    """

    async def replayed(container: Container) -> ReplaySummary:
        return await replay_all(
            await container.resolve(EventStore),
            await container.resolve(MessageQueueInterface),
            await container.resolve(Clock),
            filters or ErrorFilters(),
            dry_run=dry_run,
            say=sys.stderr.write,
        )

    summary = with_services(running_platform(flags), replayed)
    sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    return ExitCode.OK


async def replay_all(
    store: EventStore,
    queue: MessageQueueInterface,
    clock: Clock,
    filters: ErrorFilters,
    *,
    dry_run: bool,
    say: Callable[[str], object],
) -> ReplaySummary:
    """Publish what can be replayed, in portions; `say` is told of what cannot, and why."""
    summary = ReplaySummary(dry_run=dry_run)
    now = clock.now()
    messages: list[Message] = []
    async with aclosing(find_errors(store, filters, now=now, descending=False)) as records:
        async for record in records:
            summary.found += 1
            try:
                messages.append(replay(record, replayed_at=now))
            except InvalidInput as error:
                summary.still_refused += 1
                say(f"{record.message_id}: {error}\n")
            if len(messages) >= PUBLISHED_TOGETHER:
                await _publish(queue, messages, summary)
    await _publish(queue, messages, summary)
    return summary


def row_of(record: ErrorRecord) -> dict[str, object]:
    """Return a record as it is printed."""
    return {**msgspec.structs.asdict(record), "faults": "; ".join(map(_shown, record.errors))}


def _shown(fault: FieldError) -> str:
    return f"{fault.field}: {fault.message}" if fault.field else fault.message


async def _publish(queue: MessageQueueInterface, messages: list[Message], summary: ReplaySummary) -> None:
    if messages and not summary.dry_run:
        await queue.publish(messages)
    summary.replayed += len(messages)
    messages.clear()
