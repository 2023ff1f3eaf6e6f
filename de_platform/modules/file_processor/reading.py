"""From a file to its pieces, whatever state the file is in."""

from collections.abc import Iterator, Sequence
from itertools import chain

from de_platform.modules.file_processor.event_file import EventFile
from de_platform.modules.file_processor.gunzip import TornFile
from de_platform.pipeline.file_formats import HEAD_BYTES, FileFormat, detect, parser_for
from de_platform.pipeline.file_pieces import Piece

AUTO = "auto"


class Reading:
    """One pass over a file."""

    def __init__(self, file: EventFile, asked_format: str) -> None:
        self._file = file
        self._asked_format = asked_format
        self.fault = ""
        """Known once all pieces were taken: why the end of the file could not be read."""

    def pieces(self) -> Iterator[Sequence[Piece]]:
        """Yield groups of pieces, none empty; where the file is torn, a last piece says so.

        Raises InvalidInput, before the first group, when this is no file of events; for CSV also when a
        header turns out, later, to be none.
        """
        chunks = self._file.chunks()
        head = next(chunks)
        parser = parser_for(self._format(head))
        position = 0
        try:
            for chunk in chain([head], chunks):
                if pieces := parser.feed(chunk):
                    position = pieces[-1].position
                    yield pieces
        except TornFile as error:
            self.fault = str(error)
        if pieces := parser.close():
            position = pieces[-1].position
            yield pieces
        if self.fault:
            yield [Piece(position + 1, b"", self.fault)]
        elif parser.truncated:
            self.fault = "the file ends before the array is closed"

    def _format(self, head: bytes) -> FileFormat:
        if self._asked_format != AUTO:
            return FileFormat(self._asked_format)
        is_blank = len(head) < HEAD_BYTES and not head.strip()
        return FileFormat.JSONL if is_blank else detect(head, self._file.name)
