"""Configuration files: what an editor adds does no harm, and what is no TOML is one error."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from emosim_core.errors import ConfigurationError, DataError
from emosim_core.simulation.config import read_toml


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_mark_of_the_encoding_and_line_ends_do_no_harm(tmp_path: Path, encoding: str, end: str) -> None:
    content = f'plugin = "movies"{end}[items]{end}name = "caf\u00e9"{end}'.encode(encoding)
    for name, written in (("run.toml", content), ("run.toml.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        assert read_toml(tmp_path / name) == {"plugin": "movies", "items": {"name": "caf\u00e9"}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('plugin = "movies"'.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ('plugin = "movies"\nname = "caf\u00e9"'.encode("latin-1"), "row 2: is not UTF-8 text .the byte 0xe9."),
        (b"# " + b"a" * (1 << 20), "has more than 1,048,576 bytes"),
        (b"a = " + b"[" * 100_000, "run.toml is nested too deeply"),
        (b"plugin movies", "run.toml is not a TOML file: .*line 1"),
    ],
)
def test_what_is_no_configuration_is_one_error(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises((ConfigurationError, DataError), match=says):
        read_toml(tmp_path / "run.toml")
