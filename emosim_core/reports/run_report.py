"""The report of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.errors import RunError
from emosim_core.evaluation.columns import EpisodeTable, Part, RunColumns, read_blocks, read_run
from emosim_core.evaluation.metrics import Episodes, Metric, metric_named
from emosim_core.hooks import Registry
from emosim_core.kinds import BLOCKS
from emosim_core.llm.prompts.fencing import legible
from emosim_core.model.emotion import describe_mood
from emosim_core.reports.background import Background, background
from emosim_core.reports.chart import Table
from emosim_core.reports.report import Fact, Report, Section, setup_tables, usage_sections
from emosim_core.reports.run_charts import charts_of_run
from emosim_core.reports.run_sums import RunSums
from emosim_core.reports.stories import Stories
from emosim_core.runs.blocks import sampled
from emosim_core.runs.records import INTERACTIONS, open_blocks
from emosim_core.runs.transcript import TRANSCRIPT, Exchanges
from emosim_core.runs.trust import CommandHint
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import END_REASONS, answer_warnings, counts_in_words, signed, usage_rows, who_answers
from emosim_core.stats import bootstrap_ratios, divided
from emosim_core.terminal import counted

_SECTIONS = (
    ("overview", "At a glance", ("ratings", "clicks", "end-reasons")),
    ("time", "Over time", ("ratings-over-time", "still-there", "moods", "lengths")),
    ("what", "What was liked, and by whom", ("categories", "categories-liked", "heat", "traits")),
)

_MOST_STORIES = 2_000
"""Episodes in Parquet up to which all stories are shown; of more, a sample of about as many as ``_STORIES``."""

_STORIES, _BLOCKS_OF_STORIES = 500, 5

_MOST = 10
_ENOUGH = 3
"""Ratings that an item needs to be listed as most or least liked, where ten items have them."""

NO_PROMPTS = (
    f"To see each prompt and the raw answer to it here, make the report with --prompts; they are in {TRANSCRIPT}."
)


def report_of_run(
    directory: Path,
    registry: Registry | None = None,
    exchanges: Exchanges | None = None,
    given: Mapping[str, Any] | None = None,
    again: CommandHint | None = None,
) -> Report:
    """The report of a run; a RunError where the directory holds none, or is damaged.

    Args:
        exchanges: prompts and raw answers, as :func:`~emosim_core.runs.transcript.exchanges_of` reads them.
        registry, given, again: as of :func:`~emosim_core.reports.make.write_report`.
    """
    stories = Stories(exchanges)
    run, sums, sample = _read(directory, stories)
    behind = background(run.manifest, registry, directory, again, given)
    _check_belongs(run, sums, behind)
    title = behind.domain.title if behind.domain else str(run.manifest["config"]["plugin"])
    report = Report("run", f"{title}: a run of {_episodes(len(run.ended))}", _headline(run, behind))
    report.words, report.facts, report.notes = behind.words, _facts(run, sums), _notes(run, behind)
    charts = {chart.id: chart for chart in charts_of_run(run, sums, behind)}
    for id_, name, wanted in _SECTIONS:
        shown = [charts[one] for one in wanted if one in charts]
        tables = _rankings(run, sums, behind) if id_ == "what" else []
        if shown or tables:
            report.sections.append(Section(id_, name, charts=shown, tables=tables))
    report.sections += [*usage_sections((run.summary or {}).get("usage")), _setup(run)]
    if run.episodes:
        report.stories = [stories.index(run, sample), *stories.blocks]
        if len(sample) < len(run.episodes):
            report.stories_note = f"A sample of {counted(len(sample), 'episode')}; the charts are about all."
        if exchanges is None and (directory / TRANSCRIPT).exists():
            report.stories_note = NO_PROMPTS
    return report


def _read(directory: Path, stories: Stories) -> tuple[RunColumns, RunSums, EpisodeTable]:
    """A run, sums over its steps, and the episodes whose stories are shown: of many in Parquet, a sample."""
    blocks = open_blocks(directory)
    if blocks is None:
        run = read_run(directory, stories.add)
        return run, RunSums.of(Part.of(run)), run.episodes
    sums = RunSums()
    run = read_blocks(directory, blocks, sums.add)
    sample = run.episodes
    if len(sample) > _MOST_STORIES:
        # Of a few blocks, so that the others need not be read again.
        ranges = blocks.ranges()
        places_of_blocks = np.linspace(0, len(ranges) - 1, _BLOCKS_OF_STORIES).astype(int).tolist()
        inside = np.zeros(len(sample), dtype=np.bool_)
        for first, end in (ranges[place] for place in places_of_blocks):
            inside |= (sample.number >= first) & (sample.number < end)
        sample = sample[inside]
        sample = sample[sampled(0, min(1.0, _STORIES / len(sample)))(sample.number)]
    numbers = sample.number
    places = {number: place for place, number in enumerate(numbers.tolist())}
    for record in blocks.records(lambda episodes: np.isin(episodes, numbers)):
        stories.add(sample[places[record["episode"]]], record)
    return run, sums, sample


def _check_belongs(run: RunColumns, sums: RunSums, behind: Background) -> None:
    """See that the records are about the items and the scale of the run.

    Raises:
        RunError: they are not.
    """
    path = run.directory / (INTERACTIONS if (run.directory / INTERACTIONS).exists() else BLOCKS)
    strange = next((item for item in run.titles if item not in behind.items), None) if behind.items else None
    if strange is not None:
        raise RunError(f"{path}: the item {strange!r} is none of the items that the run was made with")
    if behind.domain:
        scale = behind.domain.scale
        off = next((rating for rating in sums.levels if not scale.low <= rating <= scale.high), None)
        if off is not None:
            raise RunError(f"{path}: the rating {off:g} lies off the scale {scale} of the run")


def _episodes(count: int) -> str:
    return "one episode" if count == 1 else f"{count:,} episodes"


def _headline(run: RunColumns, behind: Background) -> str:
    users = len(np.unique(run.episodes.user))
    words = behind.domain.words if behind.domain else None
    who = f"{users:,} simulated {words.user if words else 'user'}{'' if users == 1 else 's'}"
    policy = run.manifest["parts"].get("policy", {}).get("name", "?")
    text = f"{who}, {_episodes(len(run.episodes))}, recommended to by the policy {policy!r}. "
    text += who_answers(run.manifest["answered_by"])
    ends = run.ended.end_counts()
    if ends:
        end, count = ends.most_common(1)[0]
        text += f" Most frequent end reason ({count / ends.total():.1%}): {END_REASONS.get(end, end)}."
    return text


def _facts(run: RunColumns, sums: RunSums) -> list[Fact]:
    episodes, ended = run.episodes, run.ended
    if not episodes:
        return [Fact("episodes", "0")]
    # Ratings of an episode in which the run stopped count; its reward and its length are not known yet.
    facts = [_fact(run, metric_named(name), episodes) for name in ("mean_rating", "share_liked")]
    facts += [_fact(run, metric_named(name), ended) for name in ("episode_length", "mean_reward")]
    if ended:
        valence, arousal = ended.mood.mean(axis=0)
        word = describe_mood(valence, arousal)
        facts.append(Fact("mood at the end", word, f"valence {signed(valence, 2)}, arousal {arousal:.2f}"))
    failed = int(episodes.failed.sum())
    facts.append(Fact("failed ratings", f"{failed:,}", f"beside {sums.ratings:,} that were given"))
    if usage := (run.summary or {}).get("usage"):
        rows = dict(usage_rows(usage))
        value, _, rest = rows["cost"].partition(", ")
        facts.append(Fact("cost", value if len(value) < 20 else "not known", rest or rows["calls"]))
    return facts


def _fact(run: RunColumns, metric: Metric, episodes: EpisodeTable) -> Fact:
    assert metric.sums is not None
    over, under = (run.by_user(episodes.user, values)[0] for values in metric.sums(Episodes(run, episodes)))
    value = float(divided(over.sum(), under.sum()))
    if np.isnan(value):
        return Fact(metric.label, "none")
    low, high = (float(end[0]) for end in bootstrap_ratios(over, under))
    interval = f"95 %: {metric.written(low)} to {metric.written(high)}"
    return Fact(metric.label, metric.written(value), "one user: no interval" if np.isnan(low) else interval)


def _notes(run: RunColumns, behind: Background) -> list[str]:
    notes = [*behind.notes, *map(str, run.manifest.get("announcements", ()))]
    if str(run.manifest["config"].get("records")).startswith("sample"):
        wanted = run.manifest["config"]["episodes"]
        notes.insert(0, f"The charts are about a sample: {len(run.episodes):,} of {wanted:,} episodes.")
    if counts := (run.summary or {}).get("policy_counts"):
        notes.append(f"The recommender counted {counts_in_words(counts)}.")
    if run.summary:
        notes += [f"Warning: {warning}" for warning in answer_warnings(run.summary)]
    if run.complete:
        return notes
    ended = f"{len(run.ended):,} of {run.manifest['config'].get('episodes', '?')} episodes ended"
    return [f"The run is not complete: {ended}. {continue_with('run', run.directory)}", *notes]


def _rankings(run: RunColumns, sums: RunSums, behind: Background) -> list[Table]:
    if not sums.ratings:
        return []
    pairs = sums.pairs
    counts, totals = (
        np.bincount(pairs.item, values, minlength=len(run.titles)) for values in (pairs.count, pairs.total)
    )
    means = divided(totals, counts)
    enough = _ENOUGH if (counts >= _ENOUGH).sum() >= 2 * _MOST else 1
    rated = np.flatnonzero(counts >= enough)
    titles = list(run.titles.values())
    items = behind.words[1]
    tables = []
    for title, keys in (("Most liked", -means), ("Least liked", means)):
        order = rated[np.lexsort((rated, -counts[rated], keys[rated]))][:_MOST]
        rows = [(legible(titles[one]), f"{means[one]:.2f}", f"{int(counts[one]):,}") for one in order.tolist()]
        caption = f"Of {items} with at least {enough} {'rating' if enough == 1 else 'ratings'}."
        tables.append(Table(title, ("title", "mean rating", "ratings"), rows, caption))
    return tables


def _setup(run: RunColumns) -> Section:
    summary = run.summary or {}
    tables = setup_tables(run.manifest)
    if (speed := summary.get("steps_per_second")) is not None:
        caption = f"{summary['seconds']:,} s for {counted(summary['steps'], 'step')}, writing included."
        tables.insert(0, Table("Time", ("what", "amount"), [("steps per second", f"{speed:,}")], caption))
    made = run.manifest.get("created")
    caption = f"Made {made}. The same configuration, seed and versions give the same run." if made else ""
    return Section("setup", "What was run", caption, tables=tables)
