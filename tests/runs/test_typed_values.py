"""Values that are given again are shown as a configuration file that one can read whole."""

from __future__ import annotations

from emosim_core.runs.trust import _toml


def test_values_are_written_with_every_letter_visible_and_none_left_out() -> None:
    assert _toml({"a.b": "x\u200b", "c": {"d": None, "e": 1}}) == '[a]\nb = "x\\u200b"\n\n[c]\ne = 1\n'


def test_what_has_no_word_in_a_file_or_is_too_long_to_be_read_is_not_written() -> None:
    assert _toml({"a": object()}) is None
    assert _toml({"a": "x" * 19_000}) is not None
    assert _toml({"a": "x" * 20_000}) is None
