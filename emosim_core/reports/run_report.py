"""The report of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.errors import RunError
from emosim_core.evaluation.columns import Episode, RunColumns, read_run
from emosim_core.evaluation.metrics import Episodes, Metric, metric_named
from emosim_core.hooks import Registry
from emosim_core.llm.prompts.fencing import legible
from emosim_core.model.emotion import describe_mood
from emosim_core.reports.background import Background, background
from emosim_core.reports.chart import Table
from emosim_core.reports.report import Fact, Report, Section, setup_tables, usage_sections
from emosim_core.reports.run_charts import charts_of_run
from emosim_core.reports.stories import Stories
from emosim_core.runs.records import INTERACTIONS
from emosim_core.runs.transcript import TRANSCRIPT, Exchanges
from emosim_core.runs.trust import CommandHint
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import END_REASONS, signed, usage_rows, who_answers
from emosim_core.stats import bootstrap_ratios, divided

_SECTIONS = (
    ("overview", "At a glance", ("ratings", "end-reasons")),
    ("time", "Over time", ("ratings-over-time", "still-there", "moods", "lengths")),
    ("what", "What was liked, and by whom", ("categories", "categories-liked", "heat", "traits")),
)

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
    run = read_run(directory, stories.add)
    behind = background(run.manifest, registry, directory, again, given)
    _check_belongs(run, behind)
    title = behind.domain.title if behind.domain else str(run.manifest["config"]["plugin"])
    report = Report("run", f"{title}: a run of {_episodes(len(run.ended))}", _headline(run, behind))
    report.words, report.facts, report.notes = behind.words, _facts(run), _notes(run, behind)
    charts = {chart.id: chart for chart in charts_of_run(run, behind)}
    for id_, name, wanted in _SECTIONS:
        shown = [charts[one] for one in wanted if one in charts]
        tables = _rankings(run, behind) if id_ == "what" else []
        if shown or tables:
            report.sections.append(Section(id_, name, charts=shown, tables=tables))
    report.sections += [*usage_sections((run.summary or {}).get("usage")), _setup(run)]
    if run.episodes:
        report.stories = [stories.index(run), *stories.blocks]
        if exchanges is None and (directory / TRANSCRIPT).exists():
            report.stories_note = NO_PROMPTS
    return report


def _check_belongs(run: RunColumns, behind: Background) -> None:
    """See that the records are about the items and the scale of the run; else a RunError."""
    path = run.directory / INTERACTIONS
    strange = next((item for item in run.titles if item not in behind.items), None) if behind.items else None
    if strange is not None:
        raise RunError(f"{path}: the item {strange!r} is none of the items that the run was made with")
    if behind.domain and len(run.rating):
        scale = behind.domain.scale
        off = run.rating[(run.rating < scale.low) | (run.rating > scale.high)]
        if len(off):
            raise RunError(f"{path}: the rating {off[0]:g} lies off the scale {scale} of the run")


def _episodes(count: int) -> str:
    return "one episode" if count == 1 else f"{count:,} episodes"


def _headline(run: RunColumns, behind: Background) -> str:
    users = len({episode.user for episode in run.episodes})
    words = behind.domain.words if behind.domain else None
    who = f"{users:,} simulated {words.user if words else 'user'}{'' if users == 1 else 's'}"
    policy = run.manifest["parts"].get("policy", {}).get("name", "?")
    text = f"{who}, {_episodes(len(run.episodes))}, recommended to by the policy {policy!r}. "
    text += who_answers(run.manifest["answered_by"])
    ends = Counter(episode.end_reason for episode in run.ended)
    if ends:
        end, count = ends.most_common(1)[0]
        text += f" Most frequent end reason ({count / ends.total():.1%}): {END_REASONS.get(end, end)}."
    return text


def _facts(run: RunColumns) -> list[Fact]:
    episodes, ended = run.episodes, run.ended
    if not episodes:
        return [Fact("episodes", "0")]
    # Ratings of an episode in which the run stopped count; its reward and its length are not known yet.
    facts = [_fact(run, metric_named(name), episodes) for name in ("mean_rating", "share_liked")]
    facts += [_fact(run, metric_named(name), ended) for name in ("episode_length", "mean_reward")]
    if ended:
        valence, arousal = np.mean([episode.mood for episode in ended], axis=0)
        word = describe_mood(valence, arousal)
        facts.append(Fact("mood at the end", word, f"valence {signed(valence, 2)}, arousal {arousal:.2f}"))
    failed = sum(episode.failed for episode in episodes)
    facts.append(Fact("failed ratings", f"{failed:,}", f"beside {len(run.rating):,} that were given"))
    if usage := (run.summary or {}).get("usage"):
        rows = dict(usage_rows(usage))
        value, _, rest = rows["cost"].partition(", ")
        facts.append(Fact("cost", value if len(value) < 20 else "not known", rest or rows["calls"]))
    return facts


def _fact(run: RunColumns, metric: Metric, episodes: Sequence[Episode]) -> Fact:
    assert metric.sums is not None
    users = np.array([episode.user for episode in episodes], dtype=np.int64)
    over, under = (run.by_user(users, values)[0] for values in metric.sums(Episodes(run, episodes)))
    value = float(divided(over.sum(), under.sum()))
    if np.isnan(value):
        return Fact(metric.label, "none")
    low, high = (float(end[0]) for end in bootstrap_ratios(over, under))
    interval = f"95 %: {metric.written(low)} to {metric.written(high)}"
    return Fact(metric.label, metric.written(value), "one user: no interval" if np.isnan(low) else interval)


def _notes(run: RunColumns, behind: Background) -> list[str]:
    notes = [*behind.notes, *map(str, run.manifest.get("announcements", ()))]
    if run.complete:
        return notes
    ended = f"{len(run.ended):,} of {run.manifest['config'].get('episodes', '?')} episodes ended"
    return [f"The run is not complete: {ended}. {continue_with('run', run.directory)}", *notes]


def _rankings(run: RunColumns, behind: Background) -> list[Table]:
    if not len(run.rating):
        return []
    counts = np.bincount(run.item, minlength=len(run.titles))
    means = divided(np.bincount(run.item, weights=run.rating, minlength=len(run.titles)), counts)
    enough = _ENOUGH if (counts >= _ENOUGH).sum() >= 2 * _MOST else 1
    rated = np.flatnonzero(counts >= enough)
    titles = list(run.titles.values())
    items = behind.words[1]
    tables = []
    for title, keys in (("Most liked", -means), ("Least liked", means)):
        order = rated[np.lexsort((rated, -counts[rated], keys[rated]))][:_MOST]
        rows = [(legible(titles[one]), f"{means[one]:.2f}", f"{counts[one]:,}") for one in order.tolist()]
        caption = f"Of {items} with at least {enough} {'rating' if enough == 1 else 'ratings'}."
        tables.append(Table(title, ("title", "mean rating", "ratings"), rows, caption))
    return tables


def _setup(run: RunColumns) -> Section:
    summary = run.summary or {}
    tables = setup_tables(run.manifest)
    if (speed := summary.get("steps_per_second")) is not None:
        caption = f"{summary['seconds']:,} s for {summary['steps']:,} steps, writing included."
        tables.insert(0, Table("Time", ("what", "amount"), [("steps per second", f"{speed:,}")], caption))
    made = run.manifest.get("created")
    caption = f"Made {made}. The same configuration, seed and versions give the same run." if made else ""
    return Section("setup", "What was run", caption, tables=tables)
