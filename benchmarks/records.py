"""Records: steps per second of ``emosim run`` by the format of its records; 256 environments, all defaults."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from emosim_core.runs.runner import Run
from emosim_core.simulation.config import RunConfig

EPISODES = {"jsonl": 2_000, "parquet": 30_000, "none": 30_000}


def measured(records: str, num_envs: int) -> tuple[float, float, float]:
    """Steps per second, steps per second of processor time, and bytes per step."""
    config = RunConfig(plugin="movies", episodes=EPISODES[records], num_envs=num_envs, records=records)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(config, Path(folder) / "run")
        began, processor = time.perf_counter(), time.process_time()
        steps = run.run()["steps"]
        seconds, processor = time.perf_counter() - began, time.process_time() - processor
        written = [*Path(folder).rglob("block-*"), *Path(folder).rglob("interactions.jsonl")]
        return steps / seconds, steps / processor, sum(path.stat().st_size for path in written) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[str, list[tuple[float, float, float]]] = {records: [] for records in EPISODES}
    for _ in range(arguments.repeat):
        for records, rows in found.items():
            rows.append(measured(records, arguments.num_envs))
    for records, rows in found.items():
        speed, processor, size = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{records:<8} {speed:>9,.0f} steps/s  {processor:>9,.0f} per processor second  {size:>6.1f} bytes/step")


if __name__ == "__main__":
    main()
