"""`de-platform events`: bring events in by hand."""

from typing import Annotated, Literal

from cyclopts import Parameter

from de_platform.cli.apps import make_app
from de_platform.cli.catalog import ModuleCatalog
from de_platform.cli.global_flags import GlobalFlags
from de_platform.cli.running import running_platform
from de_platform.config.descriptor import ArgumentValue
from de_platform.pipeline.events import EventType

EXAMPLES = """Examples:

    de-platform events ingest orders.jsonl --type order
    de-platform events ingest transfers.csv.gz --type transaction --tenant acme
    de-platform events ingest orders.json --type order --data-dir ~/platform
"""

Format = Literal["auto", "json", "jsonl", "csv"]

app = make_app("events", EXAMPLES)


@app.command
def ingest(
    file: Annotated[str, Parameter(help="the file")],
    *,
    event_type: Annotated[EventType, Parameter(name=["--type", "-t"], help="what the file holds")],
    tenant: Annotated[str, Parameter(help="the tenant that every event must name; else each says its own")] = "",
    file_format: Annotated[Format, Parameter(name="--format", help="auto tells it from content and name")] = "auto",
    submission_id: Annotated[str, Parameter(help="name of the delivery; default: made from name and content")] = "",
    flags: GlobalFlags | None = None,
) -> int:
    """Check and publish the events of a file: a JSON array, JSON Lines or CSV with a header, gzip as well.

    Prints how many were accepted and rejected; rejected ones become error records. Safe to repeat.
    """
    from de_platform.cli.runner import module_run, run_event_loop, run_process  # noqa: PLC0415 - slow

    values: dict[str, ArgumentValue] = {
        "file-path": file,
        "event-type": event_type.value,
        "tenant-id": tenant,
        "submission-id": submission_id,
        "format": file_format,
    }
    run = module_run(ModuleCatalog(), "file_processor", values)
    return run_event_loop(run_process([run], running_platform(flags), None))
