"""`/api/v1/events/…`: orders, executions, transactions, and what did not become one of them."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from de_platform.http.routing import Endpoint
from de_platform.modules.data_api.operations import ROW_EXAMPLES
from de_platform.modules.data_api.row_endpoints import Collection, collection_endpoints
from de_platform.modules.data_api.rows import ROW_TYPES, vocabulary_of
from de_platform.services.event_store.interface import EventStore, StoredTable


class _Names(NamedTuple):
    segment: str
    noun: str
    plural: str


_NAMES: Mapping[StoredTable, _Names] = {
    StoredTable.ORDERS: _Names("orders", "order", "orders"),
    StoredTable.EXECUTIONS: _Names("executions", "execution", "executions"),
    StoredTable.TRANSACTIONS: _Names("transactions", "transaction", "transactions"),
    StoredTable.DUPLICATES: _Names("duplicates", "duplicate", "duplicates"),
    StoredTable.NORMALIZATION_ERRORS: _Names("errors", "error record", "error records"),
}


def event_endpoints(store: EventStore) -> list[Endpoint]:
    """Serve the tables of a store."""
    return [endpoint for table in StoredTable for endpoint in _endpoints(table, store)]


def _endpoints(table: StoredTable, store: EventStore) -> list[Endpoint]:
    names = _NAMES[table]
    rows = Collection(
        path=f"/api/v1/events/{names.segment}",
        noun=names.noun,
        plural=names.plural,
        tag="events",
        row_type=ROW_TYPES[table],
        example=ROW_EXAMPLES[table],
        vocabulary=vocabulary_of(table),
        identified_by="message_id",
    )
    return collection_endpoints(rows, partial(store.find, table), partial(store.get, table))
