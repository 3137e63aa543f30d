"""The parts of ``make release-check`` that need nothing from outside: versions, bounds and files of the repository."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        spec = importlib.util.spec_from_file_location("release_check", ROOT / "scripts" / "release_check.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "release_check", module)
        spec.loader.exec_module(module)
        return module


def test_all_distributions_have_one_version_one_licence_and_bounds_with_a_reason(release: ModuleType) -> None:
    assert "7 distributions" in release.versions_agree()
    assert release.files_are_there()
    assert release.upper_bounds_have_reasons()


def test_a_version_that_differs_and_a_bound_without_a_reason_are_found(
    release: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects = release.projects()
    folder, content = projects["emosim-ray"]
    other = {**content["project"], "version": "0.2.0", "dependencies": ["emosim-core>=0.1,<0.2", "ray>=2.50,<3"]}
    monkeypatch.setattr(release, "projects", lambda: {**projects, "emosim-ray": (folder, {"project": other})})
    with pytest.raises(release.Failed, match="the versions differ"):
        release.versions_agree()
    with pytest.raises(release.Failed, match="ray<3"):
        release.upper_bounds_have_reasons()


def test_all_that_is_bundled_is_known(release: ModuleType) -> None:
    packages = [ROOT / "emosim_core", *ROOT.glob("plugins/*/emosim_*")]
    data = {
        path.relative_to(package.parent).as_posix()
        for package in packages
        for path in package.rglob("*")
        if path.name.endswith(release._DATA)
    }
    assert data == set(release.BUNDLED)
    assert re.search(r"^cff-version: 1\.2\.0$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
