"""Records that a stage gave up, kept forever with the reason, so that they can be replayed once it is mended."""

from de_platform.pipeline.events import Header, Origin
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.topics import DEAD_LETTERS

MAX_REASON_CHARACTERS = 500

GROUP_HEADER = "dead_letter_group"
REASON_HEADER = "dead_letter_reason"


def dead_letter(group: str, batch: Batch, record: Record, reason: str) -> Message:
    """Wrap a record as it is; its `origin` becomes its own position, so that a replay gives the same letter."""
    headers = {
        **record.headers,
        Header.ORIGIN: str(Origin(batch.topic, batch.partition, record.offset)),
        GROUP_HEADER: group,
        REASON_HEADER: reason[:MAX_REASON_CHARACTERS],
    }
    return Message(topic=DEAD_LETTERS, key=record.key, value=record.value, headers=headers, partition=batch.partition)
