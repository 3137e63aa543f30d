"""A few rounds of tests/chaos.py; in full: python tests/chaos.py --rounds 100."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_kills_at_random_moments_change_nothing() -> None:
    script = Path(__file__).with_name("chaos.py")
    command = [sys.executable, str(script), "--rounds", "5", "--seconds", "15"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 rounds failed" in done.stdout
