"""`de-platform doctor`: is this machine ready, and if not, what to do about it."""

import sys
from collections.abc import Sequence

from de_platform.cli.apps import make_app
from de_platform.cli.exit_codes import ExitCode
from de_platform.cli.finding import Check
from de_platform.cli.global_flags import GlobalFlags, Surroundings, surroundings
from de_platform.cli.output import OutputFlag, OutputFormat, print_rows

EXAMPLES = """Examples:

    de-platform doctor
    de-platform doctor --data-dir ~/platform
    de-platform doctor -o json
"""

app = make_app("doctor", EXAMPLES)


@app.default
def doctor(*, output: OutputFlag = OutputFormat.TABLE, flags: GlobalFlags | None = None) -> int:
    """Check this machine for what `up` needs. Exits with 1 when a check fails."""
    from de_platform.cli.checks import CHECKS  # noqa: PLC0415 - slow to import

    around = surroundings(flags or GlobalFlags(), find_instance=False)
    rows = list(examine(CHECKS, around))
    print_rows(rows, ["check", "result", "found", "fix"], output)
    failed = sum(row["result"] == "fail" for row in rows)
    sys.stderr.write(f"{failed} of {len(rows)} checks failed.\n" if failed else f"All {len(rows)} checks passed.\n")
    return ExitCode.FAILED if failed else ExitCode.OK


def examine(checks: Sequence[tuple[str, Check]], around: Surroundings) -> list[dict[str, str]]:
    """Run every check, whatever the others find."""
    rows: list[dict[str, str]] = []
    for name, check in checks:
        finding = check(around)
        result = "fail" if finding.fix else "ok"
        rows.append({"check": name, "result": result, "found": finding.found, "fix": finding.fix})
    return rows
