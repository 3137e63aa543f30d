"""Writes what is made from other sources: the descriptions of the command line, tables of options and of metrics.

``python scripts/write_tables.py`` writes; ``--check`` writes nothing, and its status is 1 where something is stale.

A table stands in a page between ``<!-- options of COMMAND: WHICH -->`` and ``<!-- end -->``. WHICH is ``all``, or with
commas between: ``common`` or ``rare`` options, and sections of the command's help. The tables of short names and of the
metrics of an evaluation begin with ``<!-- short names -->`` and ``<!-- metrics -->``.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from emosim_core.cli.fields import GENERAL, FieldOption
from emosim_core.cli.main import cli
from emosim_core.evaluation.metrics import METRICS
from emosim_core.evaluation.plan import EvaluationConfig
from emosim_core.hooks.fields import FieldDescription, describe, field_names
from emosim_core.simulation.config import EnvironmentConfig, RunConfig
from emosim_core.simulation.logs import LogConfig
from emosim_core.studies.ablation.grid import AblationConfig
from emosim_core.studies.believability.believability import BelievabilityConfig
from emosim_core.studies.distill import DistillConfig
from emosim_core.studies.fit import FitConfig
from emosim_core.studies.prompts.bench import PromptBenchConfig
from emosim_core.studies.trust.trust import TrustConfig
from emosim_core.studies.validation.validation import ValidationConfig
from emosim_core.training.config import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
DESCRIPTIONS = ROOT / "emosim_core" / "cli" / "fields.json"
MODELS = (
    *(EnvironmentConfig, RunConfig, TrainConfig, EvaluationConfig, AblationConfig),
    *(LogConfig, ValidationConfig, BelievabilityConfig, FitConfig, TrustConfig, DistillConfig),
    PromptBenchConfig,
)
_TABLE = re.compile(
    r"(?P<head><!-- options of (?P<command>[^:>]+): (?P<which>[^>]+?) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)
_SHORT_NAMES = re.compile(r"(?P<head><!-- short names -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
_METRICS = re.compile(r"(?P<head><!-- metrics -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def descriptions() -> str:
    """The file of descriptions: of each configuration its fields, without those that it inherits unchanged."""
    models: dict[str, Any] = {}
    for model in MODELS:
        base = _base(model)
        inherited = [] if base is None else describe(base)
        fields = {one.name: _lean(one) for one in describe(model) if one not in inherited}
        models[model.__name__] = {**({} if base is None else {"inherits": base.__name__}), "fields": fields}
    return json.dumps(models, ensure_ascii=False, indent=1) + "\n"


def _base(model: type[BaseModel]) -> type[BaseModel] | None:
    return next((one for one in MODELS if one in model.__mro__[1:]), None)


def _lean(one: FieldDescription) -> dict[str, Any]:
    return {key: value for key, value in asdict(one).items() if value and key != "name"}


def tables(text: str) -> str:
    """A page with its tables as they are now."""
    text = _TABLE.sub(lambda match: match["head"] + _table(match["command"], match["which"]) + match["end"], text)
    text = _SHORT_NAMES.sub(lambda match: match["head"] + _short_names() + match["end"], text)
    return _METRICS.sub(lambda match: match["head"] + _metrics() + match["end"], text)


def _metrics() -> str:
    """The table of the metrics of an evaluation."""
    rows = [_line(f"`{one.name}`", one.label, one.unit, one.better, one.help) for one in METRICS]
    return "\n".join(["| name | in tables | unit | better | definition |", "|---|---|---|---|---|", *rows]) + "\n"


def _short_names() -> str:
    """The table of short names: ``max_cost`` stands for ``gateway.max_cost``."""
    names = {short: path for model in MODELS for short, path in field_names(model).items()}
    rows = [_line(f"`{short}`", f"`{path}`") for short, path in names.items()]
    return "\n".join(["| short name | stands for |", "|---|---|", *rows]) + "\n"


def _table(name: str, which: str) -> str:
    command: Any = cli
    for part in name.split():
        command = command.get_command(click.Context(command), part)
    words = {word.strip() for word in which.split(",")}
    sections = words - {"all", "common", "rare"}
    lines = ["| option | default | unit | what it sets |", "|---|---|---|---|"]
    for option in command.params:
        if not isinstance(option, click.Option):
            continue
        rare = getattr(option, "rare", False)
        rarity = ("rare" if rare else "common") in words or not words & {"common", "rare"}
        if rarity and (not sections or getattr(option, "section", GENERAL) in sections):
            lines.append(_row(option))
    return "\n".join(lines) + "\n"


def _row(option: click.Option) -> str:
    if isinstance(option, FieldOption):
        about = option.about
        names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=lambda name: "." in name))
        text, default, choices = about["help"], about["default"], about.get("choices", ())
        if choices and about["kind"] != "list":
            text += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
        if not default and about["kind"] == "text":
            default = "must be given"
        plain = about["kind"] in ("integer", "number", "flag") or " " in default or default == "none"
        return _line(names, default if plain or not default else f"`{default}`", about.get("unit", ""), text)
    text, _, default = (option.help or "").partition("  [")
    return _line(", ".join(f"`{name}`" for name in option.opts), default.rstrip("]") or _unset(option), "", text)


def _unset(option: click.Option) -> str:
    return "off" if option.is_flag else "must be given" if option.required else "none"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def pages() -> list[Path]:
    """The pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def stale() -> dict[Path, str]:
    """The pages that are not as they should be, and what they should hold."""
    now = {page: page.read_text(encoding="utf-8") for page in pages()}
    return {page: text for page in now if (text := tables(now[page])) != now[page]}


def main(check: bool) -> int:
    """Write what is stale, or only say what is; returns the exit status."""
    wanted = descriptions()
    outdated = (
        {} if DESCRIPTIONS.exists() and DESCRIPTIONS.read_text(encoding="utf-8") == wanted else {DESCRIPTIONS: wanted}
    )
    if outdated and not check:
        DESCRIPTIONS.write_text(wanted, encoding="utf-8")  # the tables are made from it
    outdated |= stale()
    for path, text in outdated.items():
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if outdated and check else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
