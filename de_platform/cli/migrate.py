"""`de-platform migrate`: brings every database up to date."""

import sys

from de_platform.cli.apps import make_app
from de_platform.cli.exit_codes import ExitCode
from de_platform.cli.global_flags import GlobalFlags, surroundings

EXAMPLES = """Examples:

    de-platform migrate --data-dir ~/platform
    de-platform migrate --db postgres --db clickhouse --env-file pipeline.env
"""

app = make_app("migrate", EXAMPLES)


@app.default
def migrate(*, flags: GlobalFlags | None = None) -> int:
    """Apply the migrations that are missing, in PostgreSQL and ClickHouse. Safe to repeat."""
    from de_platform.cli.migrating import migrate_databases  # noqa: PLC0415 - slow to import
    from de_platform.cli.runner import run_event_loop  # noqa: PLC0415

    run_event_loop(migrate_databases(surroundings(flags or GlobalFlags())))
    sys.stderr.write("The databases are up to date.\n")
    return ExitCode.OK
