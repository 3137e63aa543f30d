"""Worked examples for language models that answer for film viewers."""

from __future__ import annotations

from emosim_core.plugins import Example

EXAMPLES = (
    Example(
        user=(
            "Noor Haddad, 9, goes to primary school and collects everything about space: posters of planets, a "
            "telescope made of cardboard, a notebook of rockets. Noor loves animated films with humour and courage, "
            "and looks away when something is cruel."
        ),
        item=(
            "Lantern Moon (2016), an animated adventure: a homesick repair robot and a runaway fox kit cross the far "
            "side of the moon to light a beacon for a lost ship. Warm, funny, and full of stars."
        ),
        rating=10,
        reason="A funny and brave adventure among the stars is all that a child captivated by space wishes for.",
    ),
    Example(
        user=(
            "Viktor Brandt, 37, rescues climbers by helicopter and spends his holidays on motorcycles. He wants speed, "
            "danger and hard cuts from a film, and loses interest as soon as people stop to sing or to confess their "
            "love."
        ),
        item=(
            "Waltz at Ferry Street (2004), a romantic musical: two shy bakers fall in love over one long summer and "
            "say it in fourteen songs before anybody kisses."
        ),
        rating=2,
        reason="Romance told in songs has neither the danger nor the pace that a thrill seeker wants from a film.",
    ),
)
"""Two worked examples: the people and the films are made up."""
