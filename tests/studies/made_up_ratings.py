"""Made-up ratings of made-up users, in the files of MovieLens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

GENRES = ("Action", "Comedy", "Drama", "Horror", "Sci-Fi", "Western")


def write_movielens(folder: Path, users: int = 60, films: int = 90, each: int = 24, seed: int = 1) -> Path:
    """A folder with movies.csv, ratings.csv and tags.csv.

    Everybody has a favourite genre, of which they watch more and which they rate higher; some films are watched by
    far more users than others; and a user's rating has a level of its own. Each begins in some month of 2010 to 2012
    and rates a film every ten days.
    """
    rng = np.random.default_rng(seed)
    genre = rng.integers(0, len(GENRES), films)
    quality, drawn = rng.normal(3.4, 0.5, films), rng.lognormal(0, 1.2, films)
    lines = [
        f"{film + 1},Film {film + 1} ({1970 + film % 40}),{GENRES[genre[film]]}|{GENRES[film % len(GENRES)]}"
        for film in range(films)
    ]
    rows = []
    for user in range(1, users + 1):
        favourite, level = rng.integers(len(GENRES)), rng.normal(0, 0.4)
        start = 1_262_304_000 + 2_592_000 * (7 * user % 36)
        chance = drawn * np.where(genre == favourite, 6.0, 1.0)
        chosen = rng.choice(films, each, replace=False, p=chance / chance.sum())
        for place, film in enumerate(chosen.tolist()):
            stars = quality[film] + level + 0.8 * (genre[film] == favourite) + rng.normal(0, 0.5)
            rows.append(f"{user},{film + 1},{np.clip(round(stars * 2) / 2, 0.5, 5):.1f},{start + 864_000 * place}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(lines) + "\n")
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows) + "\n")
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,1,told by a user,5\n")
    return folder
