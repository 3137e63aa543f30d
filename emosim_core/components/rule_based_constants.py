"""Constants of the rule-based rater, fitted to MovieLens; written by ``scripts/fit_rule_based.py``.

    python scripts/fit_rule_based.py PATH --write

Fitted on 80535 ratings of 488 people and 9033 films, stars doubled
(MovieLens ml-latest-small; Harper & Konstan, 2015, doi 10.1145/2827872). Figures and choices:
docs/rule-based-rater.md. Points are of a scale from 1 to 10.
"""

START = 6.22
"""Where every rating starts, of 10: random pairs then get the mean of people's ratings."""

MIDDLE = 6.53
"""Mean of people's ratings, of 10: a public rating that moves nothing."""

PUBLIC = (1.0, 0.87, 0.3)
"""Points per point of the public rating above MIDDLE, by conformity 1 to 3."""

OWN = (0.73, 1.0, 1.32)
"""Size of taste, leniency and whim relative to the balanced person's, by conformity 1 to 3."""

LIKED = 1.21
"""Points for one liked category of a one-category item, made-up people."""

DISLIKED = 1.04
"""Points off for one disliked category of a one-category item, made-up people."""

RECORDED_LIKED = 0.43
"""As LIKED, where likes were read off the earlier ratings of real people."""

RECORDED_DISLIKED = 0.37
"""As DISLIKED, where dislikes were read off the earlier ratings of real people."""

TASTE = (1.3, 1.0, 0.7)
"""Size of taste by diversity 1 to 3."""

POPULARITY = (0.47, 0.0, -0.47)
"""Points per standard deviation of the logarithm of an item's public count, by diversity 1 to 3."""

OUTSIDE = (-1.03, 0.0, 1.03)
"""Points for an item wholly outside of the liked and disliked categories, by diversity 1 to 3."""

LENIENCY = 0.78
"""Standard deviation over people of the personal leniency that has no cause, points."""

TEMPER = 2.0
"""Points of leniency per unit of the mood's resting valence (chosen)."""

SHRINK = 3.61
"""Ratings that a person's mean must outweigh before half of it is believed."""

MEMORY = 0.54
"""Share of the surprise at one part of a series that carries over to another part."""

NOISE = 1.43
"""Standard deviation of the whim, points."""

CUTS = (2.29, 3.31, 3.82, 4.76, 5.28, 6.36, 7.11, 8.55, 9.34)
"""Where a rating of 2, 3, ... 10 begins, before rounding, points of 10."""
