"""Turn the transfers of an AMLSim sample into transactions, as CSV or JSON Lines on standard output."""

import argparse
import csv
import io
import json
import sys
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TextIO

FIELDS = (
    "id",
    "tenant_id",
    "status",
    "transact_time",
    "account_id",
    "counterparty_id",
    "amount",
    "currency",
    "transaction_type",
)
SIMULATION_START = date(2017, 1, 1)


def transactions(
    transfers: Iterable[str], *, tenant_id: str, start: date = SIMULATION_START, currency: str = "USD"
) -> Iterator[dict[str, str]]:
    """Yield a transaction for each line of `transactions.csv`; all values are text, amounts digit for digit."""
    reader = csv.DictReader(transfers)
    for row in reader:
        yield {
            "id": f"amlsim-{reader.line_num}",
            "tenant_id": tenant_id,
            "status": "completed",
            "transact_time": f"{start + timedelta(days=int(row['time']))}T00:00:00Z",
            "account_id": row["sourceNodeId"],
            "counterparty_id": row["targetNodeId"],
            "amount": row["value"],
            "currency": currency,
            "transaction_type": "transfer",
        }


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Yield the text of `transactions.csv`, from the archive of a sample or by itself."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            yield file
        return
    with tarfile.open(path) as archive:
        member = next((m for m in archive if Path(m.name).name == "transactions.csv" and m.isfile()), None)
        raw = archive.extractfile(member) if member else None
        if raw is None:
            raise SystemExit(f"{path} holds no transactions.csv")
        yield io.TextIOWrapper(raw, encoding="utf-8", newline="")


def write_csv(events: Iterable[dict[str, str]], out: TextIO) -> None:
    """Write a header and a line for each event."""
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(events)


def write_jsonl(events: Iterable[dict[str, str]], out: TextIO) -> None:
    """Write one object a line; the amount becomes a JSON number with the same digits."""
    for event in events:
        amount = event["amount"]
        out.write(json.dumps({**event, "amount": 0}).replace('"amount": 0', f'"amount": {amount}') + "\n")


def main() -> None:
    """Read the arguments, convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sample", type=Path, help="the .tgz of a sample, or its transactions.csv")
    parser.add_argument("--tenant", required=True, help="tenant_id of all transactions")
    parser.add_argument("--start", type=date.fromisoformat, default=SIMULATION_START, help="day 0, YYYY-MM-DD")
    parser.add_argument("--currency", default="USD", help="currency of all amounts")
    parser.add_argument("--format", choices=("csv", "jsonl"), default="csv")
    arguments = parser.parse_args()
    write = write_csv if arguments.format == "csv" else write_jsonl
    with opened(arguments.sample) as transfers:
        events = transactions(transfers, tenant_id=arguments.tenant, start=arguments.start, currency=arguments.currency)
        write(events, sys.stdout)


if __name__ == "__main__":
    main()
