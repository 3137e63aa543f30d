"""Worked examples for language models that answer for readers."""

from __future__ import annotations

from emosim_core.plugins import Example

EXAMPLES = (
    Example(
        user=(
            "Tomas Lindqvist, 58, restores old sailing boats and reads every night. He cannot get enough of true "
            "accounts of voyages and of the people who made them, and trusts a book the more maps and letters it holds."
        ),
        item=(
            "The Ice Keeper's Log by Marit Solberg, history and travel: the winter of 1873 aboard a whaler locked in "
            "the ice, told from the crew's own letters and charts."
        ),
        rating=5,
        reason="A true voyage told from letters and charts is the very kind of book that he loves most.",
    ),
    Example(
        user=(
            "Priya Raman, 24, studies chemistry and reads on the train. She likes fast thrillers with a puzzle to "
            "solve and puts away books that tell her how to live, which she finds preachy and empty."
        ),
        item=(
            "Thirty Mornings to a Calmer You by Dale Whitcomb, self-help: a programme of daily affirmations and "
            "gratitude lists, each with a page to fill in."
        ),
        rating=1,
        reason="A book of affirmations that tells her how to live is what she finds preachy, and it holds no puzzle.",
    ),
)
"""Two worked examples: the people and the books are made up."""
