"""Constants of the rule-based rater, fitted to MovieLens; written by ``scripts/fit_rule_based.py``.

    python scripts/fit_rule_based.py PATH --write

Fitted on 43340 ratings of 303 users and 6875 films, stars doubled
(MovieLens ml-latest-small; Harper & Konstan, 2015, doi 10.1145/2827872). Metrics and choices:
docs/rule-based-rater.md. Points are of a scale from 1 to 10.
"""

START = 6.16
"""Where every rating starts, of 10: random pairs then get the mean of users' ratings."""

MIDDLE = 6.53
"""Mean of users' ratings, of 10: a public rating that moves nothing."""

PUBLIC = (1.0, 0.87, 0.25)
"""Points per point of the public rating above MIDDLE, by conformity 1 to 3."""

OWN = (0.73, 1.0, 1.33)
"""Size of taste, leniency and noise relative to the balanced user's, by conformity 1 to 3."""

LIKED = 1.38
"""Points for one liked category of a one-category item, made-up users."""

DISLIKED = 1.12
"""Points off for one disliked category of a one-category item, made-up users."""

TASTE = (1.3, 1.0, 0.7)
"""Size of taste by diversity 1 to 3."""

POPULARITY = (0.49, 0.0, -0.49)
"""Points per standard deviation of the logarithm of an item's public count, by diversity 1 to 3."""

OUTSIDE = (-1.02, 0.0, 1.02)
"""Points for an item wholly outside of the liked and disliked categories, by diversity 1 to 3."""

LENIENCY = 0.8
"""Standard deviation over users of the personal leniency that has no cause, points."""

TEMPER = 2.0
"""Points of leniency per unit of the mood's resting valence (chosen)."""

MEMORY = 0.52
"""Share of the surprise at one part of a series that carries over to another part."""

NOISE = 1.47
"""Standard deviation of the noise, points."""

CUTS = (2.25, 3.3, 3.81, 4.77, 5.29, 6.35, 7.11, 8.56, 9.37)
"""Where a rating of 2, 3, ... 10 begins, before rounding, points of 10."""

CONVICTION = 5.0
"""Points for an item of a liked category, and off for others, by who has an opinion of everything (chosen)."""

ITEM_SPREAD = 0.92
"""Standard deviation of what films add to everybody's rating, points."""

PUBLIC_DOUBT = 5.0
"""Ratings that a public rating must outweigh before half of it is believed."""

LEARNT = {"user": 0.69, "category": 0.63, "era": 0.45, "popularity": 0.35, "quality": 0.35, "noise": 1.6}
"""Standard deviations among users of what is learned from memory, and of one rating beyond it, points."""

LATELY_HALF_LIFE = 30.0
"""Ratings after which a surprise counts half in how a user rates lately."""

LATELY_DOUBT = 20.0
"""Ratings that the latest ones must outweigh before half of what they say is believed."""

NOISE_DOUBT = 10.0
"""Ratings that the noise of a user must outweigh before half of it is believed (chosen)."""

LEVEL_HALF_LIFE = 100.0
"""Ratings after which a user's use of a level counts half."""

LEVEL_DOUBT = 20.0
"""Ratings that a user's use of the scale must outweigh before half of it is believed."""

INTEREST = {
    "exposure": 0.65,
    "saturation": 0.19,
    "category": 1.22,
    "year": 0.72,
    "popularity": 0.25,
    "recent_category": 0.58,
    "recent_year": 0.86,
    "newer": 0.83,
    "eagerness": 0.24,
}
"""Weights of what makes a user choose an item, in logarithms of odds."""

INTEREST_DOUBT = {"category": 20.0, "year": 20.0, "popularity": 10.0}
"""Items chosen as everybody chooses that are mixed with those of a user."""

INTEREST_YEARS = 1.5
"""How far, in years, having chosen one year speaks for another."""

INTEREST_POPULARITY = 0.35
"""How far, in standard deviations of the logarithm, having chosen one popularity speaks for another."""

INTEREST_FLOOR = 0.02
"""Share spread over all steps so that a share of nothing is not infinitely surprising (chosen)."""

INTEREST_DECLARED = 0.5
"""Logarithm of how much more often a category is chosen that a user says they like (chosen)."""
