"""What the normaliser adds to name an event, a batch of one type at a time."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from de_platform.pipeline.events import EventType
from de_platform.pipeline.lots import Lot
from de_platform.pipeline.shapes import count_set


def identity_members(lot: Lot, primary_keys: Sequence[str]) -> list[str]:
    """Return the JSON members that name each event: its primary key, and for an order without one its order id.

    The order id of an order that does not say one is its own id.
    """
    ids, order_ids = lot.content.ids, lot.content.order_ids
    if _need_escapes(ids):
        ids, primary_keys = list(map(_escaped, ids)), list(map(_escaped, primary_keys))
    if lot.event_type is not EventType.ORDER:
        return [f',"primary_key":"{key}"' for key in primary_keys]
    if count_set(order_ids) == 0:
        return [f',"primary_key":"{key}","order_id":"{id_}"' for key, id_ in zip(primary_keys, ids, strict=True)]
    return [
        f',"primary_key":"{key}","order_id":"{id_}"' if order_id is UNSET else f',"primary_key":"{key}"'
        for key, id_, order_id in zip(primary_keys, ids, order_ids, strict=True)
    ]


def _need_escapes(texts: Sequence[str]) -> bool:
    """Say whether one of these texts, which have no control characters, cannot stand in JSON as it is."""
    together = "".join(texts)
    return '"' in together or "\\" in together


def _escaped(text: str) -> str:
    return msgspec.json.encode(text)[1:-1].decode()
