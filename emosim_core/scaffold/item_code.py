"""Item code: the source of an item class with a field for each column of a table, which holds no text of the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from emosim_core.model import RatingScale

_TYPES = {"text": "str", "whole": "int", "number": "float", "boolean": "bool", "names": "Names"}
_WIDTH = 120


@dataclass(frozen=True)
class NewField:
    """A field that a domain adds to an item.

    Attributes:
        name: an identifier.
        kind: text, whole, number, boolean or names.
        column: what its column is called; any text.
        ends: the least and the greatest number in the table; None where it has none.
    """

    name: str
    kind: str
    column: str
    ends: tuple[float, float] | None = None


def item_code(
    class_name: str, item: str, fields: Sequence[NewField], scale: RatingScale, creators: str, dates: bool
) -> str:
    """The source of a module with an item class.

    Args:
        item: the word for an item.
        creators: name of the field with the creators; empty where there is none.
        dates: whether the year may be written as a date.
    """
    kinds = {field.kind for field in fields}
    code = [f'"""{class_name}: one {item} that can be recommended."""', "", "from __future__ import annotations", ""]
    code += ["import re", ""] if dates else []
    code += [f"from emosim_core.plugins import Item{', Names' if 'names' in kinds else ''}"]
    code += [f"from pydantic import Field{', field_validator' if dates else ''}", "", ""]
    code += [f"class {class_name}(Item):"]
    code += [
        f'    """One {item}. Every field is a column that a CSV file may have; those of ``Item`` are there too."""',
        "",
    ]
    for field in fields:
        code.append(_field(field))
    rated = f"Mean rating by the public, {scale.low:g} to {scale.high:g}; None where unknown."
    bounds = [f"ge={scale.low:g}", f"le={scale.high:g}"]
    code.append(_laid_out("public_rating", "float | None", ["default=None", *bounds, f'description="{rated}"']))
    if dates:
        code += ["", '    @field_validator("year", mode="before")', "    @classmethod"]
        code += ["    def _year_of_date(cls, value: object) -> object:"]
        code += ['        """The year of a date such as 2019-05-31; None where the text has none."""']
        code += ["        if not isinstance(value, str):", "            return value"]
        code += [
            '        match = re.search(r"(?<!\\d)[12]\\d{3}(?!\\d)", value)',
            "        return int(match[0]) if match else None",
        ]
    if creators:
        code += ["", "    @property", "    def creators(self) -> tuple[str, ...]:", '        """Who made it."""']
        code += [f"        return self.{creators}"]
    return "\n".join([*code, ""])


def _field(field: NewField) -> str:
    shown = re.sub(r"[^\x20-\x7e]|[\"\\]", "?", field.column[:40])
    about = f"Column '{shown}' of the table"
    default, bounds, kind = "default=None", [], f"{_TYPES[field.kind]} | None"
    if field.kind == "names":
        default, kind = "default=()", "Names"
    elif field.ends is not None:
        low, high = field.ends
        about += f", {low:.6g} to {high:.6g} there"
        bounds = ["ge=0"] if low >= 0 else []
    unknown = "" if field.kind == "names" else "; None where unknown"
    return _laid_out(field.name, kind, [default, *bounds, f'description="{about}{unknown}."'])


def _laid_out(name: str, kind: str, arguments: Sequence[str]) -> str:
    """A field of a class as a formatter lays it out."""
    joined = ", ".join(arguments)
    line = f"    {name}: {kind} = Field({joined})"
    if len(line) <= _WIDTH:
        return line
    if len(joined) + 8 <= _WIDTH:
        return f"    {name}: {kind} = Field(\n        {joined}\n    )"
    return "\n".join([f"    {name}: {kind} = Field(", *(f"        {one}," for one in arguments), "    )"])
