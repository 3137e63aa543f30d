"""Reads a domain from the data files of its package."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict

from emosim_core.data.tables import checked, read_csv
from emosim_core.data.toml_files import read_toml
from emosim_core.errors import DataError
from emosim_core.model.domain import Domain, Example, ExampleMemory, StudyUsers
from emosim_core.model.item import Item
from emosim_core.model.profile import PopulationProfile
from emosim_core.model.user import User

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_COLUMNS = ("group", "name", "gender", "age", "job", "hobby", "description")


def read_domain(package: str, item_type: type[Item], categories: Sequence[str] = ()) -> Domain:
    """The domain that the files in the folder ``data`` of a package describe; they are read once in a process.

    =================== ================================================================================================
    ``domain.toml``     the fields of :class:`~emosim_core.plugins.Domain`, except those that the other files give
    ``users.toml``      the fields of :class:`~emosim_core.loading.PopulationProfile`; may be absent
    ``raters.toml``     ``rater_options``: a table of options for each rater by name; may be absent
    ``examples.toml``   ``examples``: worked examples for prompts, an :class:`~emosim_core.plugins.Example` each; may be
                        absent
    ``study_users.csv`` users for studies, with the columns group, name, gender, age, job, hobby and description; may be
                        absent. The group is the category that a user loves, "generous" or "strict"
    ``sample.csv``      the bundled items, see :class:`~emosim_core.loading.BundledItems`
    ``sample.npz``      their embeddings
    =================== ================================================================================================

    ``real_ratings`` may be off by what rounding does: shares that sum to nearly 1 are scaled to 1.

    Args:
        package: the package, such as ``"emosim_music"``.
        item_type: the domain's subclass of :class:`~emosim_core.plugins.Item`.
        categories: all categories of the bundled items; needed for users for studies, who love one of them and
            dislike the others.

    Raises:
        DataError: a file is missing or malformed; names file and field.
    """
    return _read(package, item_type, tuple(categories))


@cache
def _read(package: str, item_type: type[Item], categories: tuple[str, ...]) -> Domain:
    folder = files(package) / "data"
    profile, written = folder / "users.toml", folder / "study_users.csv"
    more: dict[str, Any] = {"package": package, "item_type": item_type, "population": None, "study_users": None}
    if profile.is_file():
        more["population"] = read_toml(profile, f"{package}/data/users.toml", PopulationProfile)
    if (raters := folder / "raters.toml").is_file():
        more["rater_options"] = read_toml(raters, f"{package}/data/raters.toml", dict[str, dict[str, Any]])
    if (examples := folder / "examples.toml").is_file():
        more["examples"] = _examples(examples, f"{package}/data/examples.toml", item_type)
    if written.is_file():
        more["study_users"] = _study_users(written, f"{package}/data/study_users.csv", categories)
    name = f"{package}/data/domain.toml"
    domain = read_toml(folder / "domain.toml", name, Domain, more)
    total = sum(domain.real_ratings)
    if not domain.real_ratings or abs(total - 1) < 1e-9:
        return domain
    if abs(total - 1) > 0.01:
        raise DataError(name, f"shares that sum to {total:g}; expected 1", field="real_ratings")
    return replace(domain, real_ratings=tuple(share / total for share in domain.real_ratings))


@dataclass(frozen=True)
class _WrittenExample:
    """A worked example as its file holds it; the item has the fields of the domain's type."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    user: User
    item: dict[str, Any]
    rating: float
    reason: str
    memories: Sequence[ExampleMemory]
    mood: tuple[float, float]


@dataclass(frozen=True)
class _WrittenExamples:
    __pydantic_config__ = ConfigDict(extra="forbid")

    examples: Sequence[_WrittenExample]


def _examples(file: Traversable, name: str, item_type: type[Item]) -> list[Example]:
    written = read_toml(file, name, _WrittenExamples).examples
    return [
        Example(**{**vars(one), "item": checked(item_type, one.item, f"{name}, example {number}", None)})
        for number, one in enumerate(written, 1)
    ]


def _study_users(file: Traversable, name: str, categories: Sequence[str]) -> StudyUsers:
    groups: dict[str, list[User]] = {"generous": [], "strict": []}
    with as_file(file) as path, closing(read_csv(path, "a CSV file of users for studies", _COLUMNS)) as rows:
        for row, cells in rows:
            group = cells["group"]
            if group not in groups and group not in categories:
                expected = f"expected 'generous', 'strict' or one of {', '.join(categories)}, got {group!r}"
                raise DataError(name, expected, row=row, field="group")
            liked = [one for one in categories if group in (one, "generous")]
            disliked = [one for one in categories if one not in liked]
            valence = {"generous": 0.8, "strict": -0.8}.get(group, 0.1)
            users = groups.setdefault(group, [])
            # They judge by their own taste alone: conformity 3, diversity 1.
            values: dict[str, Any] = {column: cells[column] for column in _COLUMNS[1:]}
            values |= {"id": f"study-{group.replace(' ', '-')}-{len(users) + 1}", "liked": liked, "disliked": disliked}
            values |= {"conformity": 3, "diversity": 1, "baseline_valence": valence}
            users.append(checked(User, values, name, row))
    generous, strict = groups.pop("generous"), groups.pop("strict")
    return StudyUsers(lovers=groups, generous=generous, strict=strict)
