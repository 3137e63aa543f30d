"""Bounds of what is read: no file may make a reader hold more than these, however small it is when packed."""

from __future__ import annotations

import os

from emosim_core.errors import ConfigurationError

MAX_RECORD = 8 * 2**20
"""Characters of one record: a line, or a row of CSV with all its fields, or one value of a JSON document."""

MAX_FIELDS = 1_000_000
"""Separators in one record, also those within its texts."""

MAX_COLUMNS = 16_384
"""Columns of a table; no spreadsheet has more."""

MAX_BLANK = 1_048_576
"""Lines without content in one file; as many as a spreadsheet has rows."""

MAX_RATIO, FREE_BYTES = 100, 64 * 2**20
"""From ``FREE_BYTES`` on, a packed file may not become more than ``MAX_RATIO`` times as large; tables become 3 to 20
times as large."""

MAX_DIRECTORY = 4 * 2**20
"""Bytes of the list of members at the end of a zip file: some 40,000 members."""

MAX_DOCUMENT = 2**20
"""Bytes of a document that is read whole, such as a configuration."""

RECORDS_VARIABLE = "EMOSIM_MAX_RECORDS"
"""Environment variable that says how many records of one file may be held in memory."""

TEXT_EACH = 1024
"""Characters that a record may have on average where all of a file's records are held."""

_RECORDS = 1_000_000


def max_records() -> int:
    """How many records of one file may be held in memory: 1,000,000, or what the environment says."""
    text = os.environ.get(RECORDS_VARIABLE, "").strip()
    if not text:
        return _RECORDS
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 12 and int(text)):
        raise ConfigurationError(f"{RECORDS_VARIABLE} is a whole number of records from 1, such as 5000000")
    return int(text)


def raise_hint() -> str:
    """What to do where a file has more records than may be held, for messages."""
    return f"where it is sound and memory suffices, set {RECORDS_VARIABLE} to a larger number (now {max_records():,})"
