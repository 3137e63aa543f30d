"""The same loop in EmoSim and in its peers, by turns on one machine; prints a table of ratios.

Run with: python benchmarks/peers/peers.py [--rounds 5] [--seconds 2] [--environment DIR]
The peers are installed into an environment that the script makes; EmoSim is the one that runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
CASES = ("1 x slate 1", "1 x slate 10", "64 x slate 1", "64 x slate 10")


def environment(folder: Path) -> Path:
    """The Python of an environment that has the peers; made if it is not there."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print(f"Installing the peers into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", HERE / "requirements.txt"], check=True)
    return python


def measured(python: str | Path, name: str, seconds: float) -> dict[str, float]:
    """Steps per second of one simulator in each case."""
    output = subprocess.run(
        [python, HERE / "loop.py", name, str(seconds)],
        check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    ).stdout  # fmt: skip
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def main() -> None:
    """Measure by turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured, by turns")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of each measurement")
    parser.add_argument("--environment", type=Path, help="where the peers are installed; else a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        peers = environment(given.environment or Path(temporary))
        rounds = [
            (measured(sys.executable, "emosim", given.seconds), measured(peers, "sardine", given.seconds))
            for _ in range(given.rounds)
        ]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; the best of {given.rounds} rounds of each")
    print("| users x items of a slate | EmoSim, steps/s | SARDINE, steps/s | ratio | ratios of the rounds |")
    print("|---|---|---|---|---|")
    for case in CASES:
        ours, theirs = (max(pair[which][case] for pair in rounds) for which in (0, 1))
        ratios = sorted(pair[0][case] / pair[1][case] for pair in rounds)
        print(
            f"| {case} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.2f} | "
            f"{ratios[0]:.2f} to {ratios[-1]:.2f}, median {statistics.median(ratios):.2f} |"
        )


if __name__ == "__main__":
    main()
