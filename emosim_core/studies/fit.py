"""Fits users to a log, writes their directory whole or not at all, and validates them where that is wanted."""

from __future__ import annotations

import shutil
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from emosim_core.data import json_text
from emosim_core.data.files import scratch
from emosim_core.errors import RunError
from emosim_core.fitting.directory import CARD, read_card, write_card, write_fitted
from emosim_core.fitting.people import fit_users
from emosim_core.hooks import Registry
from emosim_core.model.frozen import option
from emosim_core.runs.cells import OnProgress
from emosim_core.runs.job import MANIFEST, now
from emosim_core.runs.manifest import versions_of
from emosim_core.simulation.logs import LogConfig
from emosim_core.studies.validation.knowledge import RealLog
from emosim_core.studies.validation.validation import Validation, ValidationConfig

VALIDATION = "validation"
"""Folder of the validation in a directory of fitted users."""

_LIBRARIES = ("scipy", "safetensors")


class FitConfig(LogConfig):
    """What users are fitted to, and what of them is written."""

    model_config = ConfigDict(title="Fit")

    plugin: str = option(..., "Domain of the log, such as movies or books.")
    embeddings: str = option(
        "lexical", "Embeddings of items that come without one: auto, lexical or sentence-transformers:MODEL.", rare=True
    )
    anonymous: bool = option(False, "Write users drawn from the distribution of the log's users in their place.")
    keep_histories: bool = option(False, "Write what each user took, too (histories.csv).")


class Fitting:
    """One fit: reads the log, learns, and writes.

    Raises:
        EmoSimError: an option is wrong, or the log cannot be read.
    """

    def __init__(self, config: FitConfig, registry: Registry) -> None:
        self.config, self._registry = config, registry
        if config.anonymous and config.keep_histories:
            raise RunError("anonymous users have no histories: leave out --anonymous or --keep-histories")

    @cached_property
    def log(self) -> RealLog:
        """The log, read when it is asked for first."""
        config = self.config
        return RealLog(self._registry, config.plugin, config.source, config.embeddings, config.seed)

    @cached_property
    def validation(self) -> Validation:
        """The validation of users who are fitted as these are, to other users' log up to each month."""
        config = self.config
        values = config.model_dump(include={"plugin", "embeddings", *LogConfig.model_fields})
        rater = {"name": "fitted", "seed": config.seed}
        own = ValidationConfig.read({**values, "rater": rater}, "fit")
        return Validation(own, self._registry)

    def is_written(self, out: Path) -> bool:
        """Whether ``out`` holds the users of this fit already; a RunError where it holds anything else."""
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return False
        if (out / CARD).is_file() and read_card(out).fit == self.config.model_dump(mode="json"):
            return True
        raise RunError(f"{out} exists already; choose another place with --out")

    def write(self, out: Path) -> dict[str, Any]:
        """Fit, and write the directory, which is there whole or not at all; returns what its card says.

        Raises:
            EmoSimError: the log is too small, or the directory is taken or cannot be written.
        """
        config, log = self.config, self.log
        domain = log.domain
        fitted = fit_users(log.interactions, log.catalog, domain, config.seed, config.anonymous)
        explicit, timed = log.interactions.values is not None, log.interactions.times is not None
        about = {
            "created": now(),
            "anonymous": config.anonymous,
            "seed": config.seed,
            "fit": config.model_dump(mode="json"),
            "log": {
                "source": config.ratings,
                "items_source": config.items,
                "users": len(log.interactions.user_ids),
                "interactions": len(log.interactions),
                "items_taken": int((fitted.catalog.public_counts > 0).sum()),
                "explicit": explicit,
                "times": timed,
                "sha256": log.digest(),
                "notes": [*log.notes, *fitted.interest.limits],
            },
            **_limits(explicit, timed, config, domain.words.items),
            "versions": versions_of([], _LIBRARIES),
            "validation": None,
        }
        with scratch(out) as folder:
            write_fitted(folder, fitted, about, log.interactions if config.keep_histories else None)
            if out.exists():
                out.rmdir()  # an empty one, or an OSError
            folder.rename(out)
        return card_of(out)

    def validate(self, out: Path, on_user: OnProgress = lambda count: None, executor: Any = "local") -> dict[str, Any]:
        """Measure the users of a directory beside the baselines, by folds, and write that on their card.

        What was measured before this was interrupted is not measured again. The records stay where histories are kept.
        """
        place = out / VALIDATION
        with closing(self.validation.world):
            results = self.validation.run(place, on_user, resume=(place / MANIFEST).exists(), executor=executor)
        card = {**card_of(out), "validation": results}
        write_card(out, card)
        if not self.config.keep_histories:
            shutil.rmtree(place)  # its records are what real users chose and rated, by their ids
        return card


def card_of(out: Path) -> dict[str, Any]:
    """What the card of a directory says."""
    return dict(json_text.loads((out / CARD).read_bytes()))


def _limits(explicit: bool, timed: bool, config: FitConfig, items: str) -> dict[str, tuple[str, ...]]:
    """What fitted users can do and what they cannot, in sentences."""
    can = [
        f"rate any of the {items} they were fitted to, and new ones by what these are: categories, years, texts",
        "take part in 'emosim run', 'train' and 'evaluate', with any recommender and rater",
        "be drawn anew in any number: fitted:DIR,count=N",
    ]
    cannot = [
        "say what they would have done beside other recommendations: the log holds what users took where it was made",
        "change their tastes for good: what happens in an episode counts in this episode alone",
        "tell moods: how moods move ratings is that of the rater, not of the log",
    ]
    if not explicit:
        cannot.append("rate as real users do: the log has no ratings, so they are made of how likely a choice is")
    if not timed:
        cannot.append("follow the times: the log has none, so nothing is known of recency and of when users leave")
    if config.anonymous:
        cannot.append(
            "be traced to users of the log: they are drawn, and the models are made of items that several users took; "
            "differential privacy is not promised"
        )
    else:
        cannot.append("be shared where the log cannot: states and models tell what each user took")
    return {"can": tuple(can), "cannot": tuple(cannot)}
