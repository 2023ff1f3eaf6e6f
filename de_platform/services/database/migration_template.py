"""ClickHouse scripts for one server and for a cluster, from one text.

On a cluster each table is two: `<name>_local` on every server, replicated within its shard, and `<name>`, which
spreads rows over the shards and reads from all of them. So a script marks what differs:

    {{table NAME}}               the table itself, where it is created
    {{replacing VERSION}}        its engine
    {{distributed NAME by KEY}}  on a line of its own, after the statement: the table over all shards
    {{drop NAME}}                the statement that removes it

`KEY` is an expression of columns that are the same in all rows of one identity: rows replace each other only within
a shard. Scripts for PostgreSQL have no marks.
"""

import re

from de_platform.services.database.interface import Cluster

_MARK = re.compile(r"\{\{(?P<what>\w+) (?P<name>\w+)(?: by (?P<key>[^{}]+))?\}\}")
_LINE = re.compile(r"^\{\{distributed [^{}]+\}\}\n", re.MULTILINE)

REPLICA = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'"
"""Where a replica keeps its part in the coordinator: the servers' macros say which shard and replica they are."""


def render(script: str, cluster: Cluster | None) -> str:
    """Return the script for this cluster, or for one server. Raises ValueError for a mark that there is not."""
    text = script if cluster else _LINE.sub("", script)
    return _MARK.sub(lambda mark: _rendered(mark["what"], mark["name"], mark["key"], cluster), text)


def on_cluster(cluster: Cluster | None) -> str:
    """Return the clause that has every server of the cluster run a statement; nothing for one server."""
    return f" ON CLUSTER {quoted(cluster.name)}" if cluster else ""


def quoted(text: str) -> str:
    """Return a string literal, which also stands for a name in the clause and the engine of a cluster."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _rendered(what: str, name: str, key: str | None, cluster: Cluster | None) -> str:
    match what:
        case "table":
            return f"{name}_local{on_cluster(cluster)}" if cluster else name
        case "replacing":
            return f"ReplicatedReplacingMergeTree({REPLICA}, {name})" if cluster else f"ReplacingMergeTree({name})"
        case "drop":
            tables = (name, f"{name}_local") if cluster else (name,)
            return "; ".join(f"DROP TABLE IF EXISTS {table}{on_cluster(cluster)} SYNC" for table in tables)
        case "distributed" if key and cluster:
            place = ", ".join(map(quoted, (cluster.name, cluster.database, f"{name}_local")))
            return (
                f"CREATE TABLE IF NOT EXISTS {name}{on_cluster(cluster)} AS {name}_local"
                f" ENGINE = Distributed({place}, {key});"
            )
        case _:
            raise ValueError(f"unknown mark {what} {name}")
