"""Splice what the normaliser adds into the client's own bytes, a batch of one type at a time."""

from collections.abc import Sequence
from itertools import repeat

import msgspec
from msgspec import UNSET

from de_platform.pipeline.events import EventType
from de_platform.pipeline.shapes import StampedEvent, column


def identity_members(event_type: EventType, events: Sequence[StampedEvent], primary_keys: Sequence[str]) -> list[str]:
    """Return the JSON members that name each event: its primary key, and for an order without one its order id.

    The order id of an order that does not say one is its own id.
    """
    keys = _quoted(primary_keys)
    if event_type is not EventType.ORDER:
        return [f',"primary_key":{key}' for key in keys]
    order_ids = column(events, "order_id")
    ids = _quoted(column(events, "id"))
    return [
        f',"primary_key":{key},"order_id":{id_}' if order_id is UNSET else f',"primary_key":{key}'
        for key, id_, order_id in zip(keys, ids, order_ids, strict=True)
    ]


def splice(raws: Sequence[bytes], tails: Sequence[str]) -> list[bytes]:
    """Append to each JSON object, which has members, more of them, each after a comma; `tails` end with a brace."""
    if all(map(bytes.endswith, raws, repeat(b"}"))):
        return [raw[:-1] + tail.encode() for raw, tail in zip(raws, tails, strict=True)]
    return [raw[: raw.rindex(b"}")] + tail.encode() for raw, tail in zip(raws, tails, strict=True)]


def _quoted(texts: Sequence[str]) -> list[str]:
    """Return texts without control characters as JSON strings."""
    together = "".join(texts)
    if '"' in together or "\\" in together:
        return [msgspec.json.encode(text).decode() for text in texts]
    return [f'"{text}"' for text in texts]
