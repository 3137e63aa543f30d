"""Measures how long loading 10,000 films with cached embeddings takes, and how much memory.

Run it with ``python benchmarks/load_catalog.py``, and for a million films with ``--films 1000000 --dimension 384
--max-seconds 10 --max-megabytes 3072``, which takes minutes and 5 GB in the folder for temporary files. It makes its
own data in a temporary folder and measures in fresh processes: time from before the first import of the project to the
finished catalog, and the peak of resident memory above that of an empty Python process. ``arrays`` is what a run takes
of the catalog beyond: ids, titles, categories, public ratings and the vectors for cosines; it counts towards the
memory, and not towards the total. ``processor`` is the processor time of all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

MODEL = "benchmark"
WORDS = [
    "a",
    "young",
    "old",
    "detective",
    "doctor",
    "sister",
    "ship",
    "city",
    "war",
    "love",
    "secret",
    "lost",
    "island",
    "winter",
    "machine",
    "river",
    "king",
]
GENRES = ("action", "comedy", "drama", "horror", "romance", "thriller")

LOAD = """
import json, re, sys, time

def peak():
    try:
        with open("/proc/self/status") as status:
            return int(re.search(r"VmHWM:\\s*(\\d+)", status.read())[1])
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

base = peak()
start = time.perf_counter()
from emosim_core.loading import CsvItems, CsvItemsOptions
from emosim_core.plugins import CatalogSetting
from emosim_core.simulation.assembly import make_catalog
from emosim_movies.domain import movies
domain = movies()
imported = time.perf_counter()
loader = CsvItems(CsvItemsOptions(path=sys.argv[1]))
loader.prepare(CatalogSetting(domain=domain))
loaded = loader.load()
read = time.perf_counter()
catalog = make_catalog(loaded, domain, "sentence-transformers:" + sys.argv[2], [])
end = time.perf_counter()
for array in ("ids", "titles", "categories", "public_ratings", "public_counts", "whole_vectors", "norms"):
    getattr(catalog, array)
arrays = time.perf_counter()
assert catalog.embeddings.shape == (int(sys.argv[3]), int(sys.argv[4])), catalog.embeddings.shape
print(json.dumps({
    "imports": imported - start, "table": read - imported, "embeddings": end - read, "total": end - start,
    "arrays": arrays - end, "processor": time.process_time(), "memory": (peak() - base) / 1024,
}))
"""


def prepare(folder: Path, films: int, dimension: int) -> Path:
    """Write a CSV file of films, and embeddings for them into the cache; returns the file."""
    import numpy as np

    from emosim_core.data import embeddings
    from emosim_core.plugins import Registry
    from emosim_core.simulation.assembly import make_catalog
    from emosim_core.testing import load_items

    rng = np.random.default_rng(0)
    table = folder / "films.csv"
    with table.open("w", encoding="utf-8") as stream:
        stream.write(
            "id,title,year,genres,director,cast,runtime,language,collection,part,public_rating,votes,overview\n"
        )
        for i in range(films):
            overview = " ".join([WORDS[n] for n in rng.integers(0, len(WORDS), 30)])
            genres = "|".join([GENRES[(i + n * n) % len(GENRES)] for n in range(3)])
            cast = "|".join([f"Player {n}" for n in rng.integers(0, 5000, 5)])
            stream.write(
                f"film-{i},Title {i},{1950 + i % 70},{genres},Director {i % 900},{cast},{80 + i % 60},en,,,"
                f"{1 + i % 90 / 10:.1f},{i},{overview}\n"
            )
    vectors = rng.standard_normal((films, dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model = SimpleNamespace(encode=lambda texts, **how: vectors)
    embeddings.sentence_models.load = lambda name: model
    domain = Registry().resolve_domain("movies").build()
    make_catalog(load_items("movies", f"csv:{table}"), domain, f"sentence-transformers:{MODEL}", [])
    return table


def main() -> int:
    """Prepare, measure and print; the exit status is 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--films", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--repeat", type=int, default=5, help="measured loads; the best counts")
    parser.add_argument("--max-seconds", type=float, default=1.0)
    parser.add_argument("--max-megabytes", type=float, default=150.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["EMOSIM_CACHE_DIR"] = name
        table = prepare(Path(name), arguments.films, arguments.dimension)
        command = [sys.executable, "-c", LOAD, str(table), MODEL, str(arguments.films), str(arguments.dimension)]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(arguments.repeat)
        ]
    best = min(runs, key=lambda run: run["total"])
    memory = max(run["memory"] for run in runs)
    print(f"{arguments.films:,} films, {arguments.dimension} dimensions, best of {arguments.repeat}")
    for part in ("imports", "table", "embeddings", "total", "arrays", "processor"):
        print(f"  {part:<11}{best[part]:6.3f} s")
    print(f"  memory     {memory:6.1f} MiB above an empty process")
    late, large = best["total"] > arguments.max_seconds, memory > arguments.max_megabytes
    if late or large:
        print(f"above the limit of {arguments.max_seconds:g} s or {arguments.max_megabytes:g} MiB")
    return int(late or large)


if __name__ == "__main__":
    sys.exit(main())
