"""From pieces of a file to the messages of one append. Pure: the same file gives the same appends, cut alike."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.file_pieces import Piece
from de_platform.pipeline.intake import Intake, Submission, receipt, reject, take_in
from de_platform.pipeline.messages import Message

BATCH_PIECES = 2000
BATCH_BYTES = 8 * 1024 * 1024


def batched(pieces: Iterable[Sequence[Piece]]) -> Iterator[list[Piece]]:
    """Group pieces by number and bytes, never by the chunks or the time they came in."""
    batch: list[Piece] = []
    size = 0
    for group in pieces:
        for piece in group:
            batch.append(piece)
            size += len(piece.raw)
            if len(batch) >= BATCH_PIECES or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


class Delivery:
    """The appends of one submission, in order, with a receipt for each tenant in each append.

    Every tenant of the file gets a receipt that is marked final in the last append.
    """

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._tenants = {submission.tenant_id} if submission.tenant_id else set[str]()
        self.accepted = 0
        self.rejected = 0

    def append(self, batch: Sequence[Piece], *, final: bool) -> list[Message]:
        """Return what is published for a batch in one go: events, error records, receipts."""
        good = [piece for piece in batch if not piece.fault]
        intake = take_in(self._submission, [piece.raw for piece in good], positions=[piece.position for piece in good])
        refusals = [self._refusal(piece) for piece in batch if piece.fault]
        self.accepted += intake.accepted
        self.rejected += len(batch) - intake.accepted
        first_position = batch[0].position if batch else 1
        return [*intake.messages, *refusals, *self._receipts(intake, refusals, first_position, final=final)]

    def _refusal(self, piece: Piece) -> Message:
        return reject(self._submission, piece.raw, position=piece.position, errors=[FieldError("", piece.fault)])

    def _receipts(
        self, intake: Intake, refusals: Sequence[Message], first_position: int, *, final: bool
    ) -> Iterator[Message]:
        accepted = Counter({tenant_id: tally.accepted for tenant_id, tally in intake.tallies.items()})
        rejected = Counter({tenant_id: tally.rejected for tenant_id, tally in intake.tallies.items()})
        rejected.update(message.key for message in refusals)
        present = {*accepted, *rejected}
        self._tenants |= present
        for tenant_id in sorted(self._tenants if final else present):
            yield receipt(
                self._submission,
                tenant_id=tenant_id,
                first_position=first_position,
                claimed=accepted[tenant_id] + rejected[tenant_id],
                accepted=accepted[tenant_id],
                rejected=rejected[tenant_id],
                final=final,
            )
