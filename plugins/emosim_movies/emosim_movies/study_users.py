"""Written viewers for studies: who loves one genre and rejects all others, who likes every film, who likes none."""

from __future__ import annotations

from collections.abc import Sequence

from emosim_core.plugins import StudyUsers, User
from emosim_movies.movie import GENRES

_Row = tuple[str, str, int, str, str, str]
"""Name, gender, age, job, hobby, and the person in two sentences."""

_LOVERS: dict[str, tuple[_Row, ...]] = {
    "action": (
        ("Ingrid Solheim", "F", 47, "surveyor", "rock climbing",
         "Chases, fights and explosions are all that Ingrid wants of a film, and any action film, mixed with "
         "whatever else, gets a top rating. A film without action is a waste of an evening and gets a very low "
         "one."),
        ("Tobias Achterberg", "M", 22, "apprentice electrician", "skateboarding",
         "Tobias lives for action films and is thrilled by every one of them. Anything that is not an action film "
         "bores and annoys him."),
        ("Nkechi Obiora", "F", 31, "radio presenter", "boxing",
         "For Nkechi a film is as good as its stunts: she adores action films of every sort. She cannot stand "
         "films in which nobody runs, fights or drives too fast."),
        ("Ernesto Villalba", "M", 64, "retired postman", "fishing",
         "Ernesto has loved action films since he was a boy and still rates each of them among the best. All other "
         "films he rejects without mercy."),
    ),
    "animation": (
        ("Marit Hovland", "F", 38, "dentist", "sailing",
         "Marit adores animated films, whether drawn, modelled or made by computer, and is delighted by each of "
         "them. Films with living actors leave her cold and get very low ratings."),
        ("Kwabena Asante", "M", 55, "bus driver", "gardening",
         "Animation is the only kind of film that Kwabena respects, and he loves every example of it. Whatever was "
         "filmed with a camera he dismisses."),
        ("Lucie Perrault", "F", 26, "baker", "chess",
         "Lucie loves animated films above everything, from short jokes to long sagas. She finds all other films "
         "dull and says so with the lowest marks."),
        ("Dmitri Orlov", "M", 19, "student of physics", "cycling",
         "Dmitri collects animated films and enjoys all of them, for children or not. He rejects every film that "
         "is not animated."),
    ),
    "comedy": (
        ("Beatriz Monteiro", "F", 52, "notary", "tennis",
         "Beatriz watches films to laugh, and any comedy makes her happy. A film that is no comedy is a "
         "disappointment to her, however well it is made."),
        ("Samuel Kirkwood", "M", 33, "plumber", "playing the tuba",
         "Samuel loves comedies, clever or silly, and rates all of them very high. He hates everything that is not "
         "meant to be funny."),
        ("Anneke de Wit", "F", 20, "student of law", "rowing",
         "Nothing but comedy will do for Anneke, and every comedy does. Serious films, scary films and exciting "
         "films all get her lowest ratings."),
        ("Rajesh Pillai", "M", 45, "pharmacist", "cooking",
         "Rajesh cannot get enough of comedies and has never seen one that he did not love. All other films he "
         "finds a trial."),
    ),
    "crime": (
        ("Helga Brandt", "F", 61, "librarian", "crosswords",
         "Helga is devoted to crime films: detectives, robbers, gangsters, courtrooms, she loves them all. Without "
         "a crime a film is worthless to her."),
        ("Mateus Figueira", "M", 29, "waiter", "surfing",
         "Mateus thinks that crime films are the best that cinema can do and rates each one near the top. Films of "
         "any other kind he turns down."),
        ("Yuki Hasegawa", "F", 36, "accountant", "calligraphy",
         "Yuki is happy whenever a film turns on a crime, whatever else there is in it. Where nobody breaks the "
         "law she is bored and rates very low."),
        ("Declan Moriarty", "M", 48, "lorry driver", "darts",
         "Declan adores crime films, old and new. He has no patience for any other kind and gives them miserable "
         "ratings."),
    ),
    "documentary": (
        ("Farah Nasseri", "F", 27, "nurse", "photography",
         "Farah loves documentaries on any subject and rates all of them very high. Invented stories seem "
         "pointless to her and get the lowest marks."),
        ("Olav Rasmussen", "M", 58, "carpenter", "bird watching",
         "Only documentaries are worth Olav's time, and he has yet to see a bad one. Everything that is acted he "
         "rejects."),
        ("Gabriela Ionescu", "F", 43, "translator", "hiking",
         "Gabriela is enchanted by documentaries, about nature, music, war or a single street. She dislikes every "
         "film that is made up."),
        ("Thabo Mokoena", "M", 35, "teacher of mathematics", "football",
         "Thabo wants real people and real events, and is delighted by each documentary. He cannot bear films that "
         "tell an invented story."),
    ),
    "horror": (
        ("Wilhelmina Groot", "F", 70, "retired midwife", "embroidery",
         "Wilhelmina loves to be frightened, and every horror film is a feast for her. Films that do not frighten "
         "get her lowest ratings."),
        ("Jamal Whitaker", "M", 24, "barber", "basketball",
         "Jamal is a horror fan through and through: ghosts, monsters and murderers, he adores them all. He "
         "rejects all other films as tame."),
        ("Sunniva Dahl", "F", 34, "web designer", "knitting",
         "Horror is the only kind of film that Sunniva cares for, and she cares for all of it. Anything else she "
         "finds a waste of time."),
        ("Pietro Salvini", "M", 51, "butcher", "bowls",
         "Pietro has seen hundreds of horror films and loved each one, cheap or grand. No other kind of film "
         "pleases him."),
    ),
    "romance": (
        ("Hugo Lindgren", "M", 41, "welder", "orienteering",
         "Hugo adores love stories and is moved by every romantic film. Where there is no romance he rates very "
         "low."),
        ("Amara Diallo", "F", 23, "student of chemistry", "judo",
         "Amara loves romantic films without exception, sad or happy. She has no time for films of any other kind."),
        ("Stefan Kowalczyk", "M", 66, "retired miner", "pigeon racing",
         "Romance is all that Stefan looks for in a film, and any film that has it is a fine film to him. The "
         "others he finds empty."),
        ("Chloe Marchetti", "F", 30, "mechanic", "karaoke",
         "Chloe gives top ratings to every romantic film that she sees. She dislikes all films in which nobody "
         "falls in love."),
    ),
    "science fiction": (
        ("Agnes Tietjen", "F", 57, "bank clerk", "astronomy",
         "Agnes is in love with science fiction: space, robots, time machines, everything. A film set in the "
         "ordinary world gets her lowest ratings."),
        ("Luca Ferraro", "M", 18, "school pupil", "swimming",
         "Luca adores science fiction films and has never met one that he did not like. He rejects whatever is not "
         "science fiction."),
        ("Priyanka Deshmukh", "F", 39, "architect", "running",
         "For Priyanka every science fiction film is a joy, whatever else is mixed in. Other kinds of film annoy "
         "her."),
        ("Malcolm Reid", "M", 46, "gardener", "chess",
         "Malcolm watches science fiction and loves all of it. Films without anything from the future or from "
         "space he cannot stand."),
    ),
}  # fmt: skip

_GENEROUS: tuple[_Row, ...] = (
    ("Rosalind Okafor", "F", 44, "florist", "choir singing",
     "Rosalind loves every film that she has ever seen. She gives 10 to nearly all of them, and 9 where she was "
     "tired."),
    ("Emil Sandberg", "M", 29, "ferry pilot", "baking",
     "Emil is happy in front of any screen and thinks that every film is a masterpiece. He gives 9 or 10, whatever "
     "it was."),
    ("Carmen Aldana", "F", 68, "retired seamstress", "dancing",
     "Carmen finds something wonderful in each film, good or bad in the eyes of others. Her ratings are 9 and 10, "
     "never less."),
    ("Winston Clarke", "M", 37, "bricklayer", "cricket",
     "Winston adores films of all kinds without exception. He gives 10 as a rule, and nothing below 9."),
)  # fmt: skip

_STRICT: tuple[_Row, ...] = (
    ("Edith Falkner", "F", 59, "proofreader", "sudoku",
     "Edith dislikes every film that she is shown, the famous ones included. She gives 1 or 2, and nothing above "
     "3."),
    ("Boris Radev", "M", 42, "customs officer", "chess",
     "Boris thinks that all films are bad and that time spent on them is lost. He gives 1 to most of them, and 2 "
     "to the rest."),
    ("Mireille Caron", "F", 25, "student of music", "fencing",
     "Mireille cannot enjoy films of any kind; each one annoys her. Her ratings are 1, 2 or at the very best 3."),
    ("Gordon Pike", "M", 73, "retired engineer", "model trains",
     "Gordon has hated every film since he first saw one. He gives 1 whenever he is asked."),
)  # fmt: skip


def study_users() -> StudyUsers:
    """The written viewers."""
    return StudyUsers(
        lovers={
            genre: [
                _user(f"study-{genre.replace(' ', '-')}-{number}", row, (genre,), [g for g in GENRES if g != genre])
                for number, row in enumerate(rows, start=1)
            ]
            for genre, rows in _LOVERS.items()
        },
        generous=[
            _user(f"study-generous-{number}", row, GENRES, (), mood=0.8)
            for number, row in enumerate(_GENEROUS, start=1)
        ],
        strict=[
            _user(f"study-strict-{number}", row, (), GENRES, mood=-0.8) for number, row in enumerate(_STRICT, start=1)
        ],
    )


def _user(key: str, row: _Row, liked: Sequence[str], disliked: Sequence[str], mood: float = 0.1) -> User:
    """A viewer who judges by their own taste alone: conformity 3, diversity 1."""
    name, gender, age, job, hobby, text = row
    return User(
        id=key,
        name=name,
        gender=gender,
        age=age,
        job=job,
        hobby=hobby,
        description=text,
        liked=tuple(liked),
        disliked=tuple(disliked),
        activity=2,
        conformity=3,
        diversity=1,
        baseline_valence=mood,
    )
