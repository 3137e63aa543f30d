"""Charts of a run: ratings, moods, end reasons, categories, items and users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emosim_core.evaluation.columns import Ints, RunColumns
from emosim_core.llm.prompts.fencing import legible
from emosim_core.model.user import TRAIT_NAMES, TRAITS
from emosim_core.reports.background import Background
from emosim_core.reports.chart import Chart, Number, Series, numbers
from emosim_core.reports.run_sums import EDGES, RunSums, added
from emosim_core.runs.words import END_REASONS
from emosim_core.stats import Floats, bootstrap_ratios, divided, wilson
from emosim_core.terminal import counted

_MOST_CATEGORIES = 20
_USERS_OF_HEAT, _ITEMS_OF_HEAT = 30, 25
_FEW = 20
"""Episodes below which a mean over a step says little, so that lines end there; fewer episodes, no such limit."""

INTERVALS = "Thin lines are 95 % bootstrap intervals over users."


def charts_of_run(run: RunColumns, sums: RunSums, behind: Background) -> list[Chart]:
    """All charts that a run has data for."""
    charts: list[Chart] = []
    if sums.ratings:
        charts += [_ratings(sums, behind), _ratings_over_time(sums, behind), _traits(run, sums, behind)]
        charts += [_heat(run, sums, behind), *_categories(run, sums, behind)]
    if clicks := (run.summary or {}).get("clicks"):
        charts.append(_clicks(clicks))
    if run.ended:
        charts += [_end_reasons(run), _lengths(run)]
    if run.ended.steps.any():
        charts.append(_survival(run))
    if sums.cells.any():
        charts.append(_moods(sums))
    return charts


def _shares(name: str, counts: ArrayLike, total: int, x: Sequence[Number] = ()) -> Series:
    """Shares of a total with Wilson's intervals."""
    low, high = wilson(counts, total)
    return Series(name, numbers(np.asarray(counts) / total), x, numbers(low), numbers(high), _whole(counts))


def _means(name: str, totals: Floats, counts: Floats, x: Sequence[Number] = ()) -> Series:
    """Means of sums and counts by user, each of shape ``(users, values)``, with bootstrap intervals over users."""
    low, high = bootstrap_ratios(totals, counts)
    number = counts.sum(axis=0)
    means = divided(totals.sum(axis=0), number)
    return Series(name, numbers(means), x, numbers(low), numbers(high), _whole(number))


def _whole(counts: ArrayLike) -> list[int]:
    whole: list[int] = np.asarray(counts).astype(int).tolist()
    return whole


def _most_frequent(counts: NDArray, most: int) -> tuple[Ints, Ints]:
    """The numbers with the highest counts, and the place of each number among them, -1 for all others."""
    chosen = np.argsort(-counts, kind="stable")[:most]
    place = np.full(len(counts), -1)
    place[chosen] = np.arange(len(chosen))
    return chosen, place


def _ratings(sums: RunSums, behind: Background) -> Chart:
    levels = behind.domain.scale.levels if behind.domain else np.array(sorted(sums.levels))
    counts = np.array([sum(n for given, n in sums.levels.items() if np.isclose(given, one)) for one in levels])
    series, title = [_shares("this run", counts, counts.sum())], "Ratings"
    caption = (
        f"Shares of {counted(int(counts.sum()), 'rating')}; thin lines are Wilson's 95 % intervals, as if independent."
    )
    if behind.domain and len(behind.domain.real_ratings) == len(levels):
        title = "Ratings, beside those of real users"
        real = np.asarray(behind.domain.real_ratings, dtype=np.float64)
        series.append(Series("real users", numbers(real)))
        distance = float(np.abs(counts / counts.sum() - real).sum() / 2)
        source = behind.domain.real_ratings_source
        caption += f" Real users: {source}." if source else ""
        caption += f" Total variation distance {distance:.3f} (0 is the same, 1 has nothing in common)."
    else:
        caption += " Of real users' ratings nothing is known here."
    names = [f"{level:g}" for level in levels]
    return Chart("ratings", "bars", title, caption, "rating", "share of ratings", series, names, form="share")


def _clicks(clicks: Mapping[str, Any]) -> Chart:
    places = clicks["places"]
    shown = places[0]["recommended"]
    x = list(range(1, len(places) + 1))
    series = [_shares(name, [place[name] for place in places], shown, x) for name in ("examined", "clicked")]
    caption = f"Shares of {counted(shown, 'slate')}; bands are Wilson's 95 % intervals, as if independent."
    axes, ends = ("place in the slate", "share of slates"), (0.0, 1.0)
    return Chart("clicks", "lines", "Looks and clicks by place", caption, *axes, series, form="share", y_range=ends)


def _end_reasons(run: RunColumns) -> Chart:
    ends = run.ended.end_counts()
    reasons, counts = zip(*ends.most_common(), strict=True)
    caption = f"Shares of {counted(sum(counts), 'episode')}; thin lines are Wilson's 95 % intervals."
    series = [_shares("episodes", counts, sum(counts))]
    names = [END_REASONS.get(end, end) for end in reasons]
    axes = ("share of episodes", "end reason")
    return Chart("end-reasons", "rows", "End reasons", caption, *axes, series, names, form="share")


def _last_step(reached: Floats) -> int:
    """The last step that enough episodes reached for a mean; ``reached`` is how many came to each, from 1."""
    enough = min(_FEW, int(reached.max(initial=1)))
    return int(np.flatnonzero(reached >= enough).max(initial=0)) + 1


def _ratings_over_time(sums: RunSums, behind: Background) -> Chart:
    last = _last_step(sums.by_step[:, :, 1].sum(axis=0))
    totals, counts = sums.by_step[:, :last, 0], sums.by_step[:, :last, 1]
    caption = (
        "Mean rating at each step of an episode; the band is a 95 % bootstrap interval over users. Later steps average "
        "over the users who stayed (survivorship)."
    )
    series = [_means("mean rating", totals, counts, list(range(1, last + 1)))]
    axes = ("step of the episode", "mean rating")
    return Chart("ratings-over-time", "lines", "Ratings over time", caption, *axes, series, y_range=behind.scale_ends)


def _survival(run: RunColumns) -> Chart:
    lengths = run.ended.steps
    steps = list(range(1, int(lengths.max()) + 1))
    still = [int((lengths >= step).sum()) for step in steps]
    caption = f"Share of {counted(len(lengths), 'episode')} that took each step; the band is Wilson's 95 % interval."
    series, axes = [_shares("still there", still, len(lengths), steps)], ("step of the episode", "share of episodes")
    title, ends = "How long users stay", (0.0, 1.0)
    return Chart("still-there", "lines", title, caption, *axes, series, form="share", y_range=ends)


def _moods(sums: RunSums) -> Chart:
    paths = []
    for name, path in ((END_REASONS["max_steps"], sums.paths[1]), ("ended before", sums.paths[0])):
        if path.any():
            last = _last_step(path[1:, 0])
            count, *totals = path[1 : last + 1].T
            valence, arousal = (numbers(divided(total, count)) for total in totals)
            paths.append(Series(name, arousal, valence, counts=_whole(count)))
    return Chart(
        "moods",
        "plane",
        "Moods in the plane of valence and arousal",
        "Colours: how often a mood was reached, over all steps. Lines: the mean mood at step 1, 2, ... of the "
        "episodes that came that far; the ring is the first step.",
        "valence: unpleasant to pleasant",
        "arousal: calm to excited",
        paths,
        cells=[[value or None for value in numbers(row)] for row in sums.cells.T / sums.cells.sum()],
        cells_are="share of steps",
        form="share",
        edges=(EDGES[0].round(4).tolist(), EDGES[1].round(4).tolist()),
    )


def _categories(run: RunColumns, sums: RunSums, behind: Background) -> list[Chart]:
    if not behind.items:
        return []
    names = sorted({category for item in behind.items.values() for category in item.categories})
    pairs, users = sums.pairs, len(run.users)
    flags = np.array([[name in behind.items[item].categories for name in names] for item in run.titles], dtype=np.bool_)
    totals, liked, counts = np.zeros((3, users, len(names)))
    for place in range(len(names)):
        within = flags[pairs.item, place]
        for made, values in ((totals, pairs.total), (liked, pairs.liked), (counts, pairs.count)):
            made[:, place] = np.bincount(pairs.user[within], values[within], minlength=users)
    number = counts.sum(axis=0)
    chosen = np.argsort(-number, kind="stable")[: min(_MOST_CATEGORIES, int((number > 0).sum()))]
    if not len(chosen):
        return []
    chosen = chosen[np.argsort(-(totals.sum(axis=0)[chosen] / number[chosen]), kind="stable")]
    return [
        Chart(
            id_,
            "rows",
            f"{label.capitalize()} by category",
            f"The {counted(len(chosen), 'category', 'categories')} with the most ratings; a "
            f"{behind.words[0]} counts in each of its categories. {more}{INTERVALS}",
            label,
            "category",
            [_means(label, values[:, chosen], counts[:, chosen])],
            [names[index] for index in chosen.tolist()],
            form="number" if values is totals else "share",
            y_range=behind.scale_ends if values is totals else (0.0, 1.0),
        )
        for id_, label, values, more in (
            ("categories", "mean rating", totals, ""),
            ("categories-liked", "share liked", liked, "Liked is what has positive valence. "),
        )
    ]


def _traits(run: RunColumns, sums: RunSums, behind: Background) -> Chart:
    pairs = sums.pairs
    totals, counts = (
        np.bincount(pairs.user, values, minlength=len(run.users))[:, None] for values in (pairs.total, pairs.count)
    )
    levels: dict[str, Series] = {}
    for trait in TRAITS:
        for level, word in enumerate(TRAIT_NAMES[trait], start=1):
            mine = np.array([getattr(user, trait) == level for user in run.users])
            if counts[mine].sum():
                levels[f"{trait} {level}: {word}"] = _means("", totals[mine], counts[mine])
    y, low, high, sizes = ([getattr(one, of)[0] for one in levels.values()] for of in ("y", "low", "high", "counts"))
    caption = f"Of the users with each level of each trait. {INTERVALS}"
    series, title, ends = [Series("mean rating", y, (), low, high, sizes)], "Mean rating by trait", behind.scale_ends
    return Chart("traits", "rows", title, caption, "mean rating", "trait", series, list(levels), y_range=ends)


def _lengths(run: RunColumns) -> Chart:
    lengths = run.ended.steps
    width = max(1, -(-int(lengths.max()) // 25))
    bins = np.bincount((lengths - 1).clip(0) // width)
    names = [f"{k * width + 1}-{(k + 1) * width}" if width > 1 else f"{k + 1}" for k in range(len(bins))]
    caption = (
        f"{counted(len(lengths), 'episode')}, {np.mean(lengths):.1f} steps on average, median {np.median(lengths):g}."
    )
    series = [Series("episodes", _whole(bins))]
    return Chart("lengths", "bars", "Length of episodes", caption, "steps", "episodes", series, names)


def _heat(run: RunColumns, sums: RunSums, behind: Background) -> Chart:
    item, items = behind.words
    pairs = sums.pairs
    columns, column = _most_frequent(np.bincount(pairs.item, pairs.count, minlength=len(run.titles)), _ITEMS_OF_HEAT)
    shown = column[pairs.item] >= 0
    by_user = np.bincount(pairs.user[shown], pairs.count[shown], minlength=len(run.users))
    rows, row = _most_frequent(by_user, _USERS_OF_HEAT)
    within = shown & (row[pairs.user] >= 0)
    places = (row[pairs.user[within]], column[pairs.item[within]])
    totals, number = (added((len(rows), len(columns)), places, values[within]) for values in (pairs.total, pairs.count))
    titles = [legible(title) for title in run.titles.values()]
    return Chart(
        "heat",
        "heat",
        f"Who liked what: {items} by users",
        f"The {counted(len(columns), item, items)} with the most ratings, and the "
        f"{counted(len(rows), 'user')} who rated most of them. "
        "Colours: mean rating; an empty cell was never rated.",
        item,
        "user",
        names=[titles[one] for one in columns.tolist()],
        rows=[legible(run.users[one].name) for one in rows.tolist()],
        cells=[numbers(one, 2) for one in divided(totals, number)],
        cells_are="mean rating",
        y_range=behind.scale_ends,
    )
