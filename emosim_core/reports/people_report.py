"""The report of fitted users: what log, how many, what they can and cannot do, and how close they are to real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosim_core.errors import DataError
from emosim_core.fitting.directory import CARD, Card, read_card, read_users
from emosim_core.model import User
from emosim_core.model.user import TRAIT_NAMES, TRAITS
from emosim_core.reports.chart import Chart, Series, Table
from emosim_core.reports.report import Fact, Report, Section, flat
from emosim_core.reports.validation_report import comparison

_TASTES = 15
"""Categories in the chart of tastes, at most."""


def report_of_fitted(directory: Path) -> Report:
    """The report of a directory of fitted users; a DataError where it is damaged."""
    card = read_card(directory)
    users = read_users(directory, card)
    try:
        return _report(card, users)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(directory / CARD, f"is damaged ({type(error).__name__}: {error}); fit it again") from error


def _report(card: Card, users: Sequence[User]) -> Report:
    log = card.log
    kind = "ratings" if card.explicit else "choices"
    what = "users drawn from the distribution of" if card.anonymous else "users fitted to"
    headline = f"{card.users:,} {what} {log['users']:,} users of {log['source']}, by {log['interactions']:,} {kind}."
    report = Report("users", f"Users of the domain {card.domain}", headline, notes=list(log.get("notes", [])))
    report.facts += [
        Fact("users", f"{card.users:,}", "new ones: fitted:DIR,count=N"),
        Fact("items", f"{card.items:,}", f"{log['items_taken']:,} of them are in the log"),
        Fact(kind, f"{log['interactions']:,}", "with times" if log["times"] else "without times"),
        *(
            [Fact("held-out answers", f"{card.distillation['heldout']:,}", "of the rater they are fitted to, below")]
            if card.distillation
            else [Fact("validation", "by folds, below" if card.validation else "not done", "emosim fit --validate")]
        ),
    ]
    limits = [
        Table("What they can do", ("what",), [(one,) for one in card.can]),
        Table("What they cannot do", ("what",), [(one,) for one in card.cannot]),
    ]
    report.sections.append(Section("limits", "What they can and cannot do", tables=limits))
    if card.validation:
        caption = (
            "Users who were fitted in the same way to other users, on the choices and ratings of users who were in "
            "nothing."
        )
        caption += " All tables of it: emosim report DIR/validation." if card.histories else ""
        report.sections.append(
            Section("validation", "Beside real users and simple models", caption, tables=[comparison(card.validation)])
        )
    if card.distillation:
        report.sections.append(_distilled(card.distillation))
    levels = [
        (f"{trait}, {TRAIT_NAMES[trait][level - 1]}", f"{sum(getattr(one, trait) == level for one in users):,}")
        for trait in TRAITS
        for level in (1, 2, 3)
    ]
    liked, disliked = (Counter(name for one in users for name in getattr(one, key)) for key in ("liked", "disliked"))
    names = [name for name, _ in (liked + disliked).most_common(_TASTES)]
    charts = []
    if names:
        series = [
            Series("like it", [liked[name] / len(users) for name in names]),
            Series("dislike it", [disliked[name] / len(users) for name in names]),
        ]
        about = "Share of users who rate a category clearly above or below their own mean."
        charts.append(Chart("tastes", "rows", "Tastes", about, "share of users", "", series, names, form="share"))
    report.sections.append(
        Section("users", "Who they are", charts=charts, tables=[Table("Traits", ("trait", "users"), levels)])
    )
    if card.episodes:
        low, middle, high = card.episodes["quartiles"]
        caption = (
            f"{card.episodes['episodes']:,} episodes, each ended by a pause of {card.episodes['pause_seconds']:g} "
            f"seconds: half of them have {low:g} to {high:g} interactions, {middle:g} in the middle. The log does not "
            "say why they ended, so simulated users leave by --reward-shaping, --max-steps and --p-interrupt; "
            f"--p-interrupt {1.0 - 0.5 ** (1.0 / max(middle, 1.0)):.2g} ends half of the episodes by then."
        )
        report.sections.append(Section("episodes", "When users leave", caption))
    tables = [Table("The log", ("what", "value"), flat(log)), Table("The fit", ("option", "value"), flat(card.fit))]
    if card.distances:
        tables.append(Table("Distances of drawn users to users of the log", ("what", "value"), flat(card.distances)))
    tables.append(Table("Versions", ("package", "version"), flat(card.versions)))
    report.sections.append(Section("setup", "What was fitted", f"Made {card.created}.", tables=tables))
    return report


def distilled_rows(distillation: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row for each model of the answers: RMSE, MAE and correlation, and how far the RMSE of the fit is from its."""
    rows = []
    for name, one in distillation["models"].items():
        difference = distillation["differences"].get(name)
        rows.append(
            (
                name,
                *(_with_interval(one[measure]) for measure in ("rmse", "mae", "correlation")),
                _with_interval(difference),
            )
        )
    return rows


DISTILLED = ("model of the answers", "RMSE", "MAE", "correlation", "RMSE of the fit minus its")
"""Columns of :func:`distilled_rows`."""


def _with_interval(value: Mapping[str, float | None] | None) -> str:
    if value is None or value["estimate"] is None:
        return ""
    interval = "" if value["low"] is None else f" [{value['low']:.2f}, {value['high']:.2f}]"
    return f"{value['estimate']:.2f}{interval}"


def _distilled(distillation: Mapping[str, Any]) -> Section:
    caption = (
        f"Users who were fitted to the other answers predict {distillation['heldout']:,} held-out answers of "
        f"{distillation['users']:,} users by {distillation['answered_by']}, on the scale {distillation['scale']}; "
        "intervals are of 95 %, over users. How close that rater is to real users is another question: emosim validate."
    )
    table = Table("Held-out answers", DISTILLED, distilled_rows(distillation))
    return Section("distillation", "Beside the rater they are fitted to", caption, tables=[table])
