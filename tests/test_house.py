"""The picture of the house: it is drawn from the imports as they are, and an import upward cannot be drawn."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_house", ROOT / "scripts" / "write_house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, on a house of three rooms in two layers."""
    module = script()
    (tmp_path / ".importlinter").write_text(
        "[importlinter:contract:rooms]\nlayers =\n    emosim_core.roof\n    emosim_core.hall | emosim_core.stairs\n"
    )
    (tmp_path / "emosim_core" / "hall").mkdir(parents=True)
    (tmp_path / "emosim_core" / "hall" / "door.py").write_text("from emosim_core.hall import floor\nimport json\n")
    (tmp_path / "emosim_core" / "stairs.py").write_text("STEPS = 12\n")
    (tmp_path / "emosim_core" / "roof.py").write_text("def tile():\n    from emosim_core.hall.door import open\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "PICTURE", tmp_path / "house.svg")
    return module


def test_the_picture_of_the_documentation_is_that_of_the_source() -> None:
    drawn = (ROOT / "docs" / "images" / "house.svg").read_text(encoding="utf-8")
    assert drawn == script().drawn(), "run python scripts/write_house.py"


def test_a_room_has_a_box_and_an_import_a_dot_and_words(house: ModuleType) -> None:
    assert house.imports() == {("roof", "hall")}
    picture = ElementTree.fromstring(house.drawn())
    space = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in picture.iter(f"{space}text")] == ["roof", "hall", "stairs"]
    assert len(list(picture.iter(f"{space}circle"))) == 1
    assert picture.findtext(f"{space}title") == "The rooms of emosim_core and their imports"
    assert picture.findtext(f"{space}desc") == (
        "roof imports hall.\nhall imports no other room.\nstairs imports no other room."
    )


def test_a_stale_picture_is_said_and_then_written(house: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert house.main(check=True) == 1
    assert not house.PICTURE.exists()
    assert house.main(check=False) == 0
    assert house.PICTURE.read_text(encoding="utf-8") == house.drawn()
    assert house.main(check=True) == 0
    assert capsys.readouterr().out == "stale: house.svg\nwritten: house.svg\n"


def test_an_import_upward_is_an_error_that_names_both_rooms(house: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "emosim_core" / "stairs.py").write_text("import emosim_core.roof\n")
    with pytest.raises(SystemExit, match=r"emosim_core.stairs imports emosim_core.roof, which stands above it"):
        house.drawn()
