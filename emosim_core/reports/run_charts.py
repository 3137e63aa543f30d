"""Charts of a run: ratings, moods, endings, categories, items and users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from emosim_core.evaluation.columns import Ints, RunColumns
from emosim_core.llm.prompts.fencing import legible
from emosim_core.model.user import TRAIT_NAMES, TRAITS
from emosim_core.reports.background import Background
from emosim_core.reports.chart import Chart, Number, Series, numbers
from emosim_core.runs.words import END_REASONS
from emosim_core.stats import Floats, bootstrap_ratios, divided, wilson

_MOST_CATEGORIES = 20
_USERS_OF_HEAT, _ITEMS_OF_HEAT = 30, 25
_FEW = 20
"""Episodes below which a mean over a step says little, so that lines end there; fewer episodes, no such limit."""

_CELLS = (20, 10)
"""Cells of the mood plane, along valence and arousal."""

INTERVALS = "Thin lines are 95 % bootstrap intervals over users."


def charts_of_run(run: RunColumns, behind: Background) -> list[Chart]:
    """All charts that a run has data for."""
    charts: list[Chart] = []
    if len(run.rating):
        charts += [_ratings(run, behind), _ratings_over_time(run, behind), _traits(run, behind), _heat(run, behind)]
        charts += _categories(run, behind)
    if run.ended:
        charts += [_end_reasons(run), _lengths(run)]
    if any(episode.steps for episode in run.ended):
        charts.append(_still_there(run))
    if len(run.step):
        charts.append(_moods(run))
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


def _ratings(run: RunColumns, behind: Background) -> Chart:
    levels = behind.domain.scale.levels if behind.domain else np.unique(run.rating)
    counts = np.array([np.isclose(run.rating, level).sum() for level in levels])
    series = [_shares("this run", counts, counts.sum())]
    caption = f"Shares of {counts.sum():,} ratings; thin lines are Wilson's 95 % intervals, as if independent."
    if behind.domain and len(behind.domain.real_ratings) == len(levels):
        real = np.asarray(behind.domain.real_ratings, dtype=np.float64)
        series.append(Series("real users", numbers(real)))
        distance = float(np.abs(counts / counts.sum() - real).sum() / 2)
        source = behind.domain.real_ratings_source
        caption += f" Real users: {source}." if source else ""
        caption += f" Total variation distance {distance:.3f} (0 is the same, 1 has nothing in common)."
    else:
        caption += " Of real users' ratings nothing is known here."
    return Chart(
        "ratings",
        "bars",
        "Ratings, beside those of real users" if len(series) > 1 else "Ratings",
        caption,
        "rating",
        "share of ratings",
        series,
        [f"{level:g}" for level in levels],
        form="share",
    )


def _end_reasons(run: RunColumns) -> Chart:
    ends = Counter(episode.end_reason for episode in run.ended)
    names, counts = zip(*ends.most_common(), strict=True)
    return Chart(
        "end-reasons",
        "rows",
        "End reasons",
        f"Shares of {sum(counts):,} episodes; thin lines are Wilson's 95 % intervals.",
        "share of episodes",
        "end reason",
        [_shares("episodes", counts, sum(counts))],
        [END_REASONS.get(end, end) for end in names],
        form="share",
    )


def _last_step(steps: Ints) -> int:
    """The last step that enough episodes reached for a mean."""
    reached = np.bincount(steps, minlength=2)[1:]
    enough = min(_FEW, int(reached.max(initial=1)))
    return int(np.flatnonzero(reached >= enough).max(initial=0)) + 1


def _ratings_over_time(run: RunColumns, behind: Background) -> Chart:
    last = _last_step(run.rating_step)
    within = run.rating_step <= last
    place = (run.episode_users[run.rating_episode[within]], run.rating_step[within] - 1)
    totals, counts = np.zeros((2, len(run.users), last))
    np.add.at(totals, place, run.rating[within])
    np.add.at(counts, place, 1.0)
    return Chart(
        "ratings-over-time",
        "lines",
        "Ratings over time",
        "Mean rating at each step of an episode; the band is a 95 % bootstrap interval over users. Later steps average "
        "over the users who stayed (survivorship).",
        "step of the episode",
        "mean rating",
        [_means("mean rating", totals, counts, list(range(1, last + 1)))],
        y_range=behind.scale_ends,
    )


def _still_there(run: RunColumns) -> Chart:
    lengths = np.array([episode.steps for episode in run.ended])
    steps = list(range(1, int(lengths.max()) + 1))
    still = [int((lengths >= step).sum()) for step in steps]
    return Chart(
        "still-there",
        "lines",
        "How long users stay",
        f"Share of {len(lengths):,} episodes that took each step; the band is Wilson's 95 % interval.",
        "step of the episode",
        "share of episodes",
        [_shares("still there", still, len(lengths), steps)],
        form="share",
        y_range=(0.0, 1.0),
    )


def _moods(run: RunColumns) -> Chart:
    edges = (np.linspace(-1, 1, _CELLS[0] + 1), np.linspace(0, 1, _CELLS[1] + 1))
    counts, _, _ = np.histogram2d(run.moods[:, 0], run.moods[:, 1], bins=edges)
    shares = counts.T / counts.sum()
    ends = np.array([episode.end_reason for episode in run.episodes])
    stayed = (ends == "max_steps")[run.step_episode]
    paths = []
    for name, chosen in (("stayed to the last step", stayed), ("ended before", ~stayed)):
        if not chosen.any():
            continue
        steps, moods = run.step[chosen], run.moods[chosen]
        last = _last_step(steps)
        count = np.bincount(steps, minlength=last + 1)[1 : last + 1]
        means = [
            divided(np.bincount(steps, weights=moods[:, axis], minlength=last + 1)[1 : last + 1], count)
            for axis in (0, 1)
        ]
        paths.append(Series(name, numbers(means[1]), numbers(means[0]), counts=_whole(count)))
    return Chart(
        "moods",
        "plane",
        "Moods in the plane of valence and arousal",
        "Colours: how often a mood was reached, over all steps. Lines: the mean mood at step 1, 2, ... of the "
        "episodes that came that far; the ring is the first step.",
        "valence: unpleasant to pleasant",
        "arousal: calm to excited",
        paths,
        cells=[[value or None for value in numbers(row)] for row in shares],
        cells_are="share of steps",
        form="share",
        edges=(edges[0].round(4).tolist(), edges[1].round(4).tolist()),
    )


def _categories(run: RunColumns, behind: Background) -> list[Chart]:
    if not behind.items:
        return []
    names = sorted({category for item in behind.items.values() for category in item.categories})
    place = {name: index for index, name in enumerate(names)}
    of_item = np.zeros((len(run.titles), len(names)))
    for index, item in enumerate(run.titles):
        for category in behind.items[item].categories:
            of_item[index, place[category]] = 1.0
    users = run.episode_users[run.rating_episode]
    totals, liked, counts = (np.zeros((len(run.users), len(names))) for _ in range(3))
    rated = of_item[run.item]
    np.add.at(counts, users, rated)
    np.add.at(totals, users, rated * run.rating[:, None])
    np.add.at(liked, users, rated * run.liked[:, None])
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
            f"The {len(chosen)} categories with the most ratings; a {behind.words[0]} counts in each of its "
            f"categories. {more}{INTERVALS}",
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


def _traits(run: RunColumns, behind: Background) -> Chart:
    totals, counts = run.by_user(run.episode_users[run.rating_episode], run.rating)
    series: list[tuple[str, float, float, float, int]] = []
    for trait in TRAITS:
        levels = np.array([getattr(user, trait) for user in run.users])
        for level in (1, 2, 3):
            mine = levels == level
            if counts[mine].sum() == 0:
                continue
            low, high = bootstrap_ratios(totals[mine], counts[mine])
            name = f"{trait} {level}: {TRAIT_NAMES[trait][level - 1]}"
            mean = totals[mine].sum() / counts[mine].sum()
            series.append((name, float(mean), float(low[0]), float(high[0]), int(counts[mine].sum())))
    names, means, lows, highs, sizes = zip(*series, strict=True)
    return Chart(
        "traits",
        "rows",
        "Mean rating by trait",
        "Of the users with each level of each trait. " + INTERVALS,
        "mean rating",
        "trait",
        [Series("mean rating", numbers(means), (), numbers(lows), numbers(highs), sizes)],
        names,
        y_range=behind.scale_ends,
    )


def _lengths(run: RunColumns) -> Chart:
    lengths = [episode.steps for episode in run.ended]
    width = max(1, -(-max(lengths) // 25))
    bins = np.bincount((np.array(lengths) - 1).clip(0) // width)
    names = [f"{k * width + 1}-{(k + 1) * width}" if width > 1 else f"{k + 1}" for k in range(len(bins))]
    return Chart(
        "lengths",
        "bars",
        "Length of episodes",
        f"{len(lengths):,} episodes, {np.mean(lengths):.1f} steps on average, median {np.median(lengths):g}.",
        "steps",
        "episodes",
        [Series("episodes", _whole(bins))],
        names,
    )


def _heat(run: RunColumns, behind: Background) -> Chart:
    item, items = behind.words
    users = run.episode_users[run.rating_episode]
    counts = np.bincount(run.item, minlength=len(run.titles))
    columns = np.argsort(-counts, kind="stable")[:_ITEMS_OF_HEAT]
    shown = np.isin(run.item, columns)
    rows = np.argsort(-np.bincount(users[shown], minlength=len(run.users)), kind="stable")[:_USERS_OF_HEAT]
    column_of = np.full(len(run.titles), -1)
    column_of[columns] = np.arange(len(columns))
    row_of = np.full(len(run.users), -1)
    row_of[rows] = np.arange(len(rows))
    where = (column_of[run.item] >= 0) & (row_of[users] >= 0)
    totals, number = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    np.add.at(totals, (row_of[users[where]], column_of[run.item[where]]), run.rating[where])
    np.add.at(number, (row_of[users[where]], column_of[run.item[where]]), 1)
    titles = [legible(title) for title in run.titles.values()]
    return Chart(
        "heat",
        "heat",
        f"Who liked what: {items} by users",
        f"The {len(columns)} {items} with the most ratings, and the {len(rows)} users who rated most of them. "
        "Colours: mean rating; an empty cell was never rated.",
        item,
        "user",
        names=[titles[column] for column in columns.tolist()],
        rows=[legible(run.users[row].name) for row in rows.tolist()],
        cells=[numbers(row, 2) for row in divided(totals, number)],
        cells_are="mean rating",
        y_range=behind.scale_ends,
    )
