"""The domain: films, rated 1 to 10."""

from __future__ import annotations

from emosim_core.plugins import Domain, RatingScale, Words
from emosim_movies.examples import EXAMPLES
from emosim_movies.movie import Movie
from emosim_movies.study_users import study_users
from emosim_movies.users import TRAIT_TEXTS


def movies() -> Domain:
    """The domain of films."""
    return Domain(
        name="movies",
        title="Movies",
        scale=RatingScale(low=1, high=10, step=1),
        words=Words(
            item="film",
            items="films",
            consume="watch",
            consumed="watched",
            consumption="viewing",
            user="viewer",
            creators="director and cast",
            traits=TRAIT_TEXTS,
        ),
        item_type=Movie,
        real_ratings=(0.0222, 0.0383, 0.0341, 0.0988, 0.0764, 0.1956, 0.1480, 0.2266, 0.0755, 0.0845),
        real_ratings_source="MovieLens, half stars doubled (Harper & Konstan, 2015, doi 10.1145/2827872)",
        examples=EXAMPLES,
        study_users=study_users(),
    )
