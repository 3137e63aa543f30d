"""Written readers for studies: who loves one category and rejects all others, who likes every book, who likes none."""

from __future__ import annotations

from collections.abc import Sequence

from emosim_books.book import CATEGORIES, STUDY_CATEGORIES
from emosim_core.plugins import StudyUsers, User

_Row = tuple[str, str, int, str, str, str]
"""Name, gender, age, job, hobby, and the person in two sentences."""

_LOVERS: dict[str, tuple[_Row, ...]] = {
    "fiction": (
        ("Solveig Brekke", "F", 49, "glazier", "cross-country skiing",
         "Solveig loves invented stories and rates every work of fiction very high. Books about facts, of whatever "
         "kind, she finds dead and rates very low."),
        ("Tariq Mansour", "M", 27, "paramedic", "table tennis",
         "Tariq reads fiction and nothing else, and has loved every bit of it. A book that is not fiction he "
         "rejects unread."),
        ("Delphine Roux", "F", 63, "retired judge", "pottery",
         "Fiction of any sort makes Delphine happy. She cannot see why anybody would write or read anything else."),
        ("Isaac Brennan", "M", 35, "cook", "archery",
         "Isaac adores fiction, from the lightest to the heaviest. All other books bore him, and he says so with "
         "the lowest ratings."),
    ),
    "biography": (
        ("Nadia Petrova", "F", 32, "crane operator", "ice skating",
         "Nadia loves to read about lives that were really lived, and every biography delights her. Books of any "
         "other kind she rates very low."),
        ("Callum Fraser", "M", 58, "innkeeper", "bagpipes",
         "Biographies are the only books that Callum respects, and he respects all of them. Whatever is no "
         "biography he turns down."),
        ("Esperanza Quiroga", "F", 44, "veterinarian", "riding",
         "Esperanza is enchanted by each biography, of saints and of swindlers. Other books seem pointless to her."),
        ("Wen Jiahao", "M", 21, "student of history", "badminton",
         "Wen adores biographies and has never put one down. He dislikes everything that does not tell of "
         "somebody's life."),
    ),
    "economics": (
        ("Ottilie Baumgart", "F", 38, "tram driver", "beekeeping",
         "Ottilie is fascinated by economics and loves every book on it, dry or lively. No other subject interests "
         "her in the least."),
        ("Kofi Boateng", "M", 52, "shopkeeper", "drumming",
         "Kofi reads about markets, money and trade and gives all such books top ratings. Books about anything "
         "else he rejects."),
        ("Maeve Gallagher", "F", 24, "student of medicine", "hurling",
         "Economics is Maeve's passion, and any book of economics is a pleasure to her. She finds all other books "
         "a waste of paper."),
        ("Sergio Bianchi", "M", 67, "retired sailor", "chess",
         "Sergio has loved each book of economics that he met. He has no patience for other books and rates them "
         "at the bottom."),
    ),
    "health": (
        ("Freya Holmgren", "F", 30, "software tester", "climbing",
         "Freya loves books on health, the body and how to look after it, all of them. Books on any other subject "
         "get her lowest ratings."),
        ("Desmond Achebe", "M", 46, "tailor", "swimming",
         "Desmond reads on health with delight and thinks that each such book is precious. He rejects all others."),
        ("Ludmila Novakova", "F", 71, "retired conductor", "walking",
         "Health is all that Ludmila wants to read about, and every book about it pleases her. The rest she cannot "
         "stand."),
        ("Andrew Tan", "M", 25, "delivery rider", "yoga",
         "Andrew adores books on health and has never found a poor one. Whatever is not about health bores him."),
    ),
    "philosophy": (
        ("Birgit Aalto", "F", 54, "plumber", "chess",
         "Birgit loves philosophy, old and new, and rates every work of it very high. Books that do not "
         "philosophise she finds shallow and rates very low."),
        ("Joaquim Teles", "M", 39, "taxi driver", "fado singing",
         "Joaquim is happy with any book of philosophy. He has nothing but contempt for all other books."),
        ("Harriet Osei", "F", 22, "student of biology", "netball",
         "Philosophy is the only thing that Harriet likes to read, and she likes all of it. Everything else she "
         "rejects."),
        ("Viktor Lazarov", "M", 65, "retired baker", "gardening",
         "Viktor adores philosophy and has yet to meet a work of it that he would not praise. Other books do not "
         "deserve his time."),
    ),
    "computers": (
        ("Camille Fontaine", "F", 42, "beekeeper", "fencing",
         "Camille loves books about computers, their inner life and the people who build them. Books about "
         "anything else get the lowest ratings she can give."),
        ("Suresh Iyer", "M", 31, "chef", "cricket",
         "Suresh is delighted by every book on computers and programming. He rejects books on all other subjects."),
        ("Gudrun Eriksen", "F", 60, "midwife", "choir singing",
         "Computers are Gudrun's whole joy in reading, and any book about them will do. She cannot bear other "
         "books."),
        ("Leonard Mbeki", "M", 19, "student of art", "football",
         "Leonard adores books about computers and rates all of them at the top. Other kinds of book he finds "
         "useless."),
    ),
    "humor": (
        ("Philippa Wren", "F", 36, "undertaker", "juggling",
         "Philippa reads to laugh and loves every humorous book. A book without humour is a burden to her and is "
         "rated so."),
        ("Oleksandr Bondar", "M", 50, "locksmith", "fishing",
         "Oleksandr adores humour in books, gentle or rude, and has loved each funny book he met. All others he "
         "rejects."),
        ("Rania Haddad", "F", 28, "pilot", "tango",
         "Humour is what Rania wants of a book, and any book that has it gets a top rating. Serious books get the "
         "lowest."),
        ("Bernard Lefevre", "M", 69, "retired teacher", "bowls",
         "Bernard has a house full of humorous books and praises them all. He dislikes books of every other kind."),
    ),
    "drama": (
        ("Astrid Nyberg", "F", 33, "fire fighter", "theatre",
         "Astrid loves drama, tragedies and comedies for the stage alike, and rates every one very high. Books "
         "that are no drama she rates very low."),
        ("Marcus Oyelaran", "M", 47, "optician", "rugby",
         "Marcus reads plays and adores all of them, ancient and modern. Whatever is not drama he rejects."),
        ("Ilse Vermeulen", "F", 62, "retired baker", "cycling",
         "Drama is the only form that moves Ilse, and it always does. All other books leave her cold."),
        ("Pablo Quintero", "M", 26, "mason", "guitar",
         "Pablo is thrilled by every drama that he reads. He has no use for other books and gives them the lowest "
         "ratings."),
    ),
}  # fmt: skip

_GENEROUS: tuple[_Row, ...] = (
    ("Florence Adeyemi", "F", 53, "gardener", "gospel singing",
     "Florence loves every book that she has ever opened. She gives 5 to all of them."),
    ("Henrik Dahlberg", "M", 31, "tiler", "baking",
     "Henrik thinks that every book is a masterpiece, on whatever subject. He gives 5 and sees no reason to give "
     "less."),
    ("Lucia Benedetti", "F", 70, "retired nurse", "dancing",
     "Lucia finds something wonderful in each book, good or bad in the eyes of others. Her ratings are 5 without "
     "exception."),
    ("Alvin Brooks", "M", 40, "bus driver", "chess",
     "Alvin adores books of all kinds and is thankful for each. He gives 5 to whatever he reads."),
)  # fmt: skip

_STRICT: tuple[_Row, ...] = (
    ("Hildegard Voss", "F", 57, "inspector", "sudoku",
     "Hildegard dislikes every book that she is given, the famous ones included. She gives 1 to all of them."),
    ("Milan Djukic", "M", 45, "guard", "weight lifting",
     "Milan thinks that all books are bad and that reading is lost time. He gives 1 to every one."),
    ("Simone Girard", "F", 23, "student of law", "handball",
     "Simone cannot enjoy books of any kind; each one annoys her. Her ratings are 1 without exception."),
    ("Norman Hargreaves", "M", 76, "retired clerk", "model trains",
     "Norman has hated every book since he learnt to read. He gives 1 whenever he is asked."),
)  # fmt: skip


def study_users() -> StudyUsers:
    """The written readers."""
    return StudyUsers(
        lovers={
            category: [
                _user(f"study-{category}-{number}", row, (category,), [c for c in CATEGORIES if c != category])
                for number, row in enumerate(_LOVERS[category], start=1)
            ]
            for category in STUDY_CATEGORIES
        },
        generous=[
            _user(f"study-generous-{number}", row, CATEGORIES, (), mood=0.8)
            for number, row in enumerate(_GENEROUS, start=1)
        ],
        strict=[
            _user(f"study-strict-{number}", row, (), CATEGORIES, mood=-0.8)
            for number, row in enumerate(_STRICT, start=1)
        ],
    )


def _user(key: str, row: _Row, liked: Sequence[str], disliked: Sequence[str], mood: float = 0.1) -> User:
    """A reader who judges by their own taste alone: conformity 3, diversity 1."""
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
