"""`python -m benchmarks [--quick]`: every figure in one table, and in `reports/bench.json`."""

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

BENCHMARKS = ("normalizer", "algos", "intake", "end_to_end")
REPORT = Path("reports/bench.json")


def main() -> int:
    """Run the chosen benchmarks one after the other. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, with less certainty")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}; all by default")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    figures: dict[str, float] = {}
    for name in chosen.names or BENCHMARKS:
        print(f"… {name}", file=sys.stderr)
        figures |= importlib.import_module(f"benchmarks.{name}").run(quick=chosen.quick)
    print(f"\nPython {platform.python_version()}, {platform.machine()}\n\n| figure | value |\n| --- | ---: |")
    for figure, value in figures.items():
        print(f"| {figure} | {value:,.3f} |" if value < 100 else f"| {figure} | {value:,.0f} |")
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"\nWritten to {REPORT}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
