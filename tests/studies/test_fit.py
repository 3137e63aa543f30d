"""What a validation of fitted users leaves in their directory."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from emosim_core.fitting.directory import read_card
from emosim_core.hooks import Registry
from emosim_core.studies.fit import FitConfig, Fitting

for library in ("scipy", "safetensors", "lightgbm"):
    pytest.importorskip(library)


@pytest.mark.parametrize("kept", [False, True])
def test_records_of_real_users_stay_with_their_histories_alone(
    movielens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    class Measured:
        world = io.StringIO()  # anything that can be closed

        def run(self, place: Path, *args: object, **options: object) -> dict[str, object]:
            place.mkdir()
            (place / "choices.jsonl").write_text('{"user": "1"}\n')
            return {"choices": {}}

    config = FitConfig(plugin="movies", ratings=f"movielens:{movielens}", keep_histories=kept)
    fitting, out = Fitting(config, Registry()), tmp_path / "people"
    fitting.write(out)
    monkeypatch.setitem(fitting.__dict__, "validation", Measured())
    fitting.validate(out)
    assert read_card(out).validation == {"choices": {}}
    assert (out / "validation").exists() == kept
