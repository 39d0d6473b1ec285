"""Facts, watermarks and feedback as JSON, one a line: a dump of the facts topic, or what other programs write.

They are handed on in the order of the file, which is the order in which they are folded. A line that is neither is one
bad record; a file that breaks off raises when that place is reached.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from connectors.connector import BadReason, BadRecord
from connectors.errors import NotABillError
from connectors.facts import FEEDBACK_MARK, Fact, Feedback, Watermark
from connectors.ingest import parse
from connectors.instants import InstantError, parse_instant
from connectors.unpacking import lines_of

NDJSON = "application/x-ndjson"
_MAX_RAW_BYTES = 16_384
_BAD_LINES_BEFORE_REFUSAL = 1_000

_decode_feedback = msgspec.json.Decoder(Feedback).decode
_decode_watermark = msgspec.json.Decoder(Watermark).decode


def read_fact_lines(path: Path, name: str | None = None) -> Iterator[Fact | Watermark | Feedback | BadRecord]:
    """Raises NotABillError for a file that breaks off, or of which next to nothing is a fact; and OSError."""
    name = name or path.name
    good = bad = 0
    for number, line in lines_of(path):
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not line.strip():
            continue
        item = _item(line, f"{name}:{number}")
        if isinstance(item, BadRecord):
            bad += 1
            if bad > _BAD_LINES_BEFORE_REFUSAL and bad > good:
                raise NotABillError(
                    name, "facts, one JSON object a line", f"mostly other lines, such as: {item.message}"
                )
        else:
            good += 1
        yield item


def _item(line: bytes, place: str) -> Fact | Watermark | Feedback | BadRecord:
    if line.startswith(FEEDBACK_MARK):
        try:
            return _decode_feedback(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _bad(line, place, None, str(error))
    if b'"complete_until"' in line:
        try:
            watermark = _decode_watermark(line)
            parse_instant(watermark.complete_until)
        except (msgspec.DecodeError, UnicodeDecodeError, InstantError) as error:
            return _bad(line, place, None, str(error))
        return watermark
    parsed = parse(line, NDJSON, {})
    if parsed.facts:
        return parsed.facts[0]
    _, field, message = parsed.rejected[0]
    return _bad(line, place, field or None, message)


def _bad(line: bytes, place: str, field: str | None, message: str) -> BadRecord:
    return BadRecord(
        source="facts",
        place=place,
        field=field,
        reason=BadReason.MALFORMED,
        message=f"{field or 'line'}: {message} at {place}",
        raw=line[:_MAX_RAW_BYTES],
    )
