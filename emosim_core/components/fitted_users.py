"""The users ``fitted``: learned from a log, or new ones drawn from their distribution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from emosim_core.fitting.directory import read_card, read_distribution, read_users
from emosim_core.fitting.people import drawn_id, drawn_rows
from emosim_core.fitting.profiles import described
from emosim_core.model import PopulationSetting, User, UserLoader
from emosim_core.model.frozen import Frozen, option


class FittedUsersOptions(Frozen):
    """Options of fitted users."""

    path: Path = Field(description="Directory that emosim fit wrote.")
    count: int | None = option(
        None,
        "New users to draw from the distribution of these.",
        ge=1,
        le=999_999_999,
        unset="those fitted",
    )
    seed: int = option(42, "Seed of the drawn users; with a larger count the first stay the same.", ge=0, le=10**18 - 1)


class FittedUsers(UserLoader):
    """The users of a directory, or as many new ones as are wanted."""

    def __init__(self, options: FittedUsersOptions) -> None:
        self.options = options
        self._setting: PopulationSetting | None = None

    def prepare(self, setting: PopulationSetting) -> None:
        self._setting = setting

    def load(self) -> Sequence[User]:
        """Read or draw the users; 100,000 in some seconds."""
        if self._setting is None:
            raise RuntimeError("prepare() must be called before load()")
        path, count, seed = self.options.path, self.options.count, self.options.seed
        card = read_card(path, self._setting.domain.name)
        if count is None:
            return read_users(path, card)
        distribution = read_distribution(path, card)
        rows = drawn_rows(distribution, seed, np.arange(count), card.widths[0], card.explicit)
        cuts, domain = [np.array(one) for one in card.cuts], self._setting.domain
        return [
            described(drawn_id(seed, number), row, cuts, card.categories, domain.words, domain.scale)
            for number, row in enumerate(rows)
        ]
