"""TOML files as models: what is wrong is named by file and field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from emosim_core.data.toml_files import read_toml
from emosim_core.errors import ConfigurationError
from emosim_core.testing import fails


class Band(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    members: int = Field(default=1, ge=1)


@dataclass
class Label:
    __pydantic_config__ = ConfigDict(extra="forbid")

    city: str
    bands: dict[str, Band]

    def __post_init__(self) -> None:
        if self.city == "nowhere":
            raise ConfigurationError("a label is somewhere")


def read(path: Path, text: str) -> Label:
    path.write_text(text, encoding="utf-8")
    return read_toml(path, "songs/label.toml", Label)


def test_a_file_becomes_a_model(tmp_path: Path) -> None:
    label = read(tmp_path / "label.toml", 'city = "Łódź"\n[bands.a]\nname = "The Torn Maps"\nmembers = 4\n')
    assert label == Label("Łódź", {"a": Band(name="The Torn Maps", members=4)})


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ('city = "x', "", "is not TOML: "),
        ('city = "x"\n', "bands", "Field required"),
        ('city = 3\n[bands.a]\nname = "b"\n', "city", "valid string (got 3)"),
        ('city = "x"\n[bands.a]\nname = "b"\nmembers = 0\n', "bands.a.members", "greater than or equal to 1 (got 0)"),
        ('city = "x"\n[bands.a]\nnam = "b"\n', "bands.a.nam", "no such field; did you mean 'name'?"),
        ('ciyt = "x"\n[bands.a]\nname = "b"\n', "ciyt", "no such field; did you mean 'city'?"),
        ('city = "x"\nzzz = 1\n[bands.a]\nname = "b"\n', "zzz", "no such field"),
        ('city = "nowhere"\n[bands.a]\nname = "b"\n', "", "a label is somewhere"),
    ],
)
def test_a_wrong_file_is_named_with_the_field(tmp_path: Path, text: str, field: str, says: str) -> None:
    fails(lambda: read(tmp_path / "label.toml", text), file="songs/label.toml", field=field, message=says)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    fails(lambda: read_toml(tmp_path / "none", "none.toml", Label), file="none.toml", message="no such file")
    fails(lambda: read_toml(tmp_path, "folder.toml", Label), file="folder.toml", message="cannot be read")
    (tmp_path / "latin.toml").write_bytes(b'city = "\xe9"')
    fails(lambda: read_toml(tmp_path / "latin.toml", "latin.toml", Label), file="latin.toml", message="is not TOML")


def test_a_field_that_python_gives_stands_in_no_file(tmp_path: Path) -> None:
    path = tmp_path / "label.toml"
    path.write_text('city = "x"\n', encoding="utf-8")
    bands = {"bands": {"a": {"name": "b"}}}
    assert read_toml(path, "label.toml", Label, bands).bands["a"].name == "b"
    path.write_text('city = "x"\n[bands.c]\nname = "d"\n', encoding="utf-8")
    fails(lambda: read_toml(path, "label.toml", Label, bands), file="label.toml", field="bands", message="in Python")
