"""The words that generated people are made of: names, jobs, hobbies and sentences that suit any domain.

All of it was written for this project (EmoSim-RL). Jobs and hobbies say nothing of sex, and none is meant for one.

Sentences are templates. ``[this|that]`` is a choice, ``{slot}`` is filled in:

========================== =========================================================
slot                       what stands there
========================== =========================================================
``{name} {first}``         full name; first name
``{who}``                  the pronoun or, now and then, the first name; a subject
``{they} {them}``          he or she; him or her; verbs that follow are singular
``{their} {self}``         his or her; himself or herself
``{age} {a_age}``          34; a 34, an 18
``{job} {a_job}``          nurse; a nurse. With a retired person, retired nurse
``{former} {a_former}``    the job before retiring, only for retired people
``{subject}``              what a student studies, only for students
``{hobby}``                a singular noun phrase: chess, playing the cello
``{off}``                  when there is time to spare: after work, after school
========================== =========================================================

A sentence need not begin with a capital letter; it gets one.
"""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """Names of one part of the world. Any first name may meet any last name."""

    female: tuple[str, ...]
    male: tuple[str, ...]
    last: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(",") if part.strip())


def _origin(female: str, male: str, last: str) -> Origin:
    return Origin(_words(female), _words(male), _words(last))


ORIGINS: tuple[Origin, ...] = (
    _origin(
        "Abena, Adwoa, Afia, Ama, Efua, Esi, Yaa",
        "Kofi, Kojo, Kwabena, Kwame, Kwasi, Yaw, Ebo",
        "Agyeman, Amoah, Asante, Boateng, Darko, Mensah, Nkrumah, Opoku, Owusu, Sarpong",
    ),
    _origin(
        "Adaeze, Chiamaka, Folake, Ifeoma, Ngozi, Temitope, Yetunde",
        "Babatunde, Chinedu, Emeka, Femi, Obinna, Segun, Tunde",
        "Adeyemi, Balogun, Chukwu, Eze, Nwosu, Obi, Ogunleye, Okafor, Okoro, Olawale",
    ),
    _origin(
        "Aminata, Awa, Coumba, Fatou, Khady, Ndeye, Oumou",
        "Abdoulaye, Cheikh, Lamine, Mamadou, Modou, Ousmane, Souleymane",
        "Ba, Camara, Cisse, Diallo, Diop, Faye, Keita, Ndiaye, Sow, Traore",
    ),
    _origin(
        "Achieng, Makena, Nyambura, Wairimu, Wanjiku, Zawadi, Amani",
        "Baraka, Jabari, Juma, Kamau, Kipchoge, Mwangi, Otieno",
        "Kariuki, Kimani, Kiprono, Maina, Mutua, Njoroge, Odhiambo, Omondi, Wafula, Wekesa",
    ),
    _origin(
        "Lerato, Naledi, Nomvula, Palesa, Thandiwe, Zanele, Refilwe",
        "Bongani, Kagiso, Lwazi, Sipho, Tebogo, Thabo, Themba",
        "Dlamini, Khumalo, Mabaso, Mokoena, Molefe, Ndlovu, Nkosi, Sithole, Tshabalala, Zulu",
    ),
    _origin(
        "Aster, Bethlehem, Hiwot, Meron, Selam, Tigist, Liya",
        "Abebe, Biruk, Dawit, Kebede, Tesfaye, Yonas, Henok",
        "Alemu, Bekele, Demissie, Gebre, Haile, Mekonnen, Tadesse, Wolde, Worku, Zewde",
    ),
    _origin(
        "Amira, Dalia, Hala, Layla, Nour, Rania, Salma",
        "Fadi, Hassan, Karim, Nabil, Omar, Samir, Tarek",
        "Aziz, Darwish, Farouk, Haddad, Hamdan, Khalil, Mansour, Nasser, Qasim, Saleh",
    ),
    _origin(
        "Houda, Imane, Lamia, Nadia, Samira, Yasmina, Zineb",
        "Amine, Hicham, Mehdi, Rachid, Said, Younes, Anas",
        "Alaoui, Belkacem, Bennani, Berrada, Chraibi, Idrissi, Lahlou, Mansouri, Tazi, Ziani",
    ),
    _origin(
        "Ayse, Defne, Elif, Esra, Merve, Selin, Zeynep",
        "Baris, Cem, Emre, Kerem, Mert, Onur, Yusuf",
        "Acar, Arslan, Aydin, Celik, Demir, Kaya, Ozturk, Sahin, Yildiz, Yilmaz",
    ),
    _origin(
        "Azadeh, Golnaz, Laleh, Mahsa, Parisa, Shirin, Yalda",
        "Arash, Behrouz, Cyrus, Dariush, Farhad, Kaveh, Navid",
        "Ahmadi, Bahrami, Farahani, Hosseini, Jafari, Karimi, Moradi, Rostami, Sadeghi, Tehrani",
    ),
    _origin(
        "Ananya, Deepa, Kavya, Meera, Priya, Riya, Sunita",
        "Aarav, Arjun, Dev, Kiran, Nikhil, Rohan, Vikram",
        "Banerjee, Chopra, Desai, Gupta, Iyer, Kapoor, Menon, Patel, Rao, Sharma",
    ),
    _origin(
        "Ayesha, Farzana, Mahnoor, Nasreen, Rukhsana, Sadia, Zara",
        "Bilal, Faisal, Hamza, Imran, Nadeem, Tariq, Zain",
        "Akhtar, Anwar, Baig, Chaudhry, Hussain, Iqbal, Malik, Mirza, Qureshi, Rahman",
    ),
    _origin(
        "Fang, Hui, Jing, Lan, Mei, Xiu, Yan",
        "Bo, Feng, Hao, Jun, Lei, Ming, Wei",
        "Chen, Gao, Huang, Li, Lin, Sun, Wang, Xu, Zhang, Zhou",
    ),
    _origin(
        "Aiko, Emi, Haruka, Keiko, Natsumi, Sakura, Yui",
        "Daichi, Hiroshi, Kenta, Ren, Sora, Takumi, Yuto",
        "Fujita, Hayashi, Ito, Kobayashi, Mori, Nakamura, Sato, Suzuki, Tanaka, Yamamoto",
    ),
    _origin(
        "Eunji, Haneul, Jiwoo, Minji, Seoyeon, Soyeon, Yuna",
        "Dohyun, Hyunwoo, Jaemin, Jihoon, Minho, Seojun, Taeyang",
        "Cho, Choi, Jung, Kang, Kim, Kwon, Lim, Park, Shin, Yoon",
    ),
    _origin(
        "Anh, Hoa, Lien, Linh, Mai, Thao, Thuy",
        "Bao, Duc, Hieu, Long, Nam, Quang, Tuan",
        "Bui, Dang, Do, Duong, Hoang, Ngo, Nguyen, Pham, Tran, Vu",
    ),
    _origin(
        "Ayu, Citra, Dewi, Intan, Putri, Ratna, Wulan",
        "Agus, Budi, Dimas, Eko, Rizky, Surya, Wahyu",
        "Gunawan, Hartono, Kusuma, Lestari, Pratama, Santoso, Setiawan, Siregar, Wibowo, Wijaya",
    ),
    _origin(
        "Analyn, Divina, Jasmine, Ligaya, Marisol, Rosalie, Tala",
        "Angelo, Bayani, Danilo, Ernesto, Jericho, Rodel, Rommel",
        "Aquino, Bautista, Castillo, Cruz, Dizon, Mercado, Pascual, Reyes, Santos, Villanueva",
    ),
    _origin(
        "Anahera, Aroha, Leilani, Malia, Mere, Sina, Talia",
        "Ioane, Kahu, Manaia, Nikau, Sione, Tama, Wiremu",
        "Faleolo, Fonoti, Kaihau, Leota, Ngata, Parata, Tamihana, Tuala, Tuilagi, Vaea",
    ),
    _origin(
        "Camila, Daniela, Lucia, Mariana, Paloma, Valentina, Ximena",
        "Alejandro, Diego, Javier, Mateo, Pablo, Rafael, Santiago",
        "Aguilar, Fuentes, Garcia, Herrera, Lopez, Morales, Navarro, Ramirez, Rojas, Vargas",
    ),
    _origin(
        "Beatriz, Carolina, Ines, Joana, Larissa, Rita, Tainara",
        "Bruno, Caio, Duarte, Joaquim, Nuno, Thiago, Vasco",
        "Almeida, Barbosa, Carvalho, Costa, Ferreira, Moreira, Oliveira, Pereira, Ribeiro, Silva",
    ),
    _origin(
        "Chiara, Elena, Francesca, Giulia, Martina, Paola, Silvia",
        "Alessandro, Davide, Enzo, Lorenzo, Marco, Matteo, Nicola",
        "Bianchi, Colombo, Conti, Esposito, Ferrari, Galli, Greco, Marino, Ricci, Rizzo",
    ),
    _origin(
        "Amelie, Camille, Chloe, Helene, Juliette, Manon, Sophie",
        "Antoine, Bastien, Hugo, Julien, Lucas, Olivier, Theo",
        "Bernard, Chevalier, Dubois, Fournier, Lambert, Laurent, Moreau, Petit, Roux, Vidal",
    ),
    _origin(
        "Annika, Greta, Johanna, Katrin, Lena, Marlene, Ute",
        "Felix, Florian, Jonas, Klaus, Lukas, Moritz, Tobias",
        "Bauer, Becker, Brandt, Fischer, Hoffmann, Keller, Krause, Schneider, Vogel, Wagner",
    ),
    _origin(
        "Astrid, Freja, Ingrid, Liv, Maja, Signe, Solveig",
        "Anders, Bjorn, Emil, Henrik, Lars, Magnus, Nils",
        "Andersen, Berg, Dahl, Hansen, Holm, Johansson, Lindqvist, Lund, Nilsen, Strand",
    ),
    _origin(
        "Agnieszka, Danuta, Ewa, Katarzyna, Magda, Olena, Zofia",
        "Andriy, Bartosz, Jakub, Marek, Pawel, Taras, Wojciech",
        "Bondarenko, Kowalski, Kravets, Lewandowski, Mazur, Nowak, Shevchenko, Tkachenko, Wozniak, Zielinski",
    ),
    _origin(
        "Eleni, Ivana, Jelena, Katerina, Mila, Petra, Vesna",
        "Boris, Goran, Ivo, Luka, Nikos, Stavros, Zoran",
        "Dimitrov, Horvat, Ivanov, Jovanovic, Kovac, Markovic, Nikolaidis, Papadakis, Petrov, Vlahos",
    ),
    _origin(
        "Alice, Bronwyn, Fiona, Hazel, Niamh, Orla, Ruth",
        "Callum, Dylan, George, Harry, Liam, Owen, Rhys",
        "Bennett, Byrne, Campbell, Davies, Fletcher, Hughes, Kelly, Murphy, Reid, Turner",
    ),
    _origin(
        "Alyssa, Brianna, Grace, Hannah, Kiana, Naomi, Tamika",
        "Caleb, Darnell, Elijah, Isaac, Jamal, Miles, Tyler",
        "Brooks, Carter, Coleman, Foster, Hayes, Jackson, Morgan, Parker, Walker, Young",
    ),
)

FIRST_JOBS = _words("""
    apprentice baker, apprentice carpenter, apprentice electrician, apprentice gardener, apprentice mechanic,
    apprentice plumber, cinema usher, intern in an advertising agency, intern in an architect's office, junior kitchen
    helper, lifeguard at a public pool, trainee bank clerk, trainee hotel receptionist, trainee lab technician,
    trainee nurse, trainee train conductor, social service volunteer
""")
"""Jobs of people aged 18 to 24 who have just begun."""

JOBS: dict[int, tuple[str, ...]] = {
    18: _words("""
        assembly worker, baggage handler, bakery assistant, barista, bicycle courier, bus driver, call centre agent,
        school caretaker, care assistant in a nursing home, cashier, construction worker, cook, dairy farm worker,
        delivery driver, dog walker, factory machine operator, farm hand, fishmonger, florist, garden centre
        assistant, hairdresser, hotel receptionist, house painter, housekeeper in a hotel, kitchen porter, library
        assistant, office cleaner, parcel sorter, petrol station attendant, postal worker, restaurant server, security
        guard, shop assistant, street cleaner, taxi driver, teaching assistant, theatre stagehand, tram driver,
        warehouse worker, window cleaner
    """),
    22: _words("""
        baker, bank clerk, beekeeper, bookseller, bricklayer, butcher, car mechanic, carpenter, childminder, crane
        operator, customs officer, dental hygienist, electrician, event planner, fashion buyer, firefighter, fisher,
        flight attendant, forest ranger, furniture restorer, graphic designer, insurance adviser, lab technician,
        landscape gardener, locksmith, lorry driver, make-up artist, massage therapist, museum guide, nursery school
        teacher, nurse, optician, paramedic, pastry chef, payroll clerk, photographer, piano tuner, plumber, police
        officer, potter, print shop operator, real estate agent, roofer, sailor on a ferry, shoemaker, software
        tester, sound engineer, sports coach, stonemason, tailor, tattoo artist, tour guide, train driver, translator,
        travel agent, upholsterer, vet's assistant, watchmaker, web developer, welder, winegrower
    """),
    25: _words("""
        accountant, actuary, air traffic controller, archaeologist, architect, archivist, audiologist, biologist,
        chemical engineer, civil engineer, copywriter, curator in a small museum, data analyst, dietician, economist,
        editor in a publishing house, fundraiser for a charity, geologist, history teacher, human resources officer,
        illustrator, interpreter, journalist, librarian, marketing manager, maths teacher, meteorologist, midwife,
        music teacher, network administrator, occupational therapist, pharmacist, physiotherapist, primary school
        teacher, product designer, radio presenter, robotics engineer, set designer, social worker, software
        developer, speech therapist, statistician, surveyor, urban planner, wind turbine technician
    """),
    30: _words("""
        airline pilot, astronomer, bridge engineer, conductor of an orchestra, dentist, film editor, general
        practitioner, head chef, judge at a local court, lawyer, neurologist, notary, owner of a corner shop, owner of
        a small guest house, paediatrician, psychologist, researcher in marine biology, restaurant owner, school
        principal, ship's captain, surgeon, tax adviser, university lecturer, veterinarian
    """),
}
"""Jobs by the age from which a person may have one."""

SUBJECTS = _words("""
    agriculture, anthropology, archaeology, architecture, astronomy, biology, business, chemistry, civil engineering,
    computer science, dance, dentistry, design, economics, education, electrical engineering, environmental science,
    fine arts, food science, geography, geology, history, journalism, law, linguistics, marine biology, mathematics,
    mechanical engineering, medicine, music, nursing, pharmacy, philosophy, physics, political science, psychology,
    social work, sociology, sports science, statistics, theatre, translation, urban planning, veterinary medicine
""")
"""What students study."""

SCHOOL: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (4, 5, ("nursery school child", "kindergarten child", "preschool child")),
    (6, 10, ("primary school pupil", "primary school child", "elementary school pupil")),
    (11, 14, ("middle school pupil", "secondary school pupil", "middle school student")),
    (15, 17, ("secondary school student", "high school student", "vocational school student")),
)
"""First age, last age and what a school child of these ages is called."""

HOBBIES = _words("""
    amateur astronomy, amateur radio, archery, ballroom dancing, baking bread, beekeeping, birdwatching, bookbinding,
    botanical drawing, bouldering, bowling, brewing beer, bridge, building model railways, building model ships,
    calligraphy, candle making, canoeing, caring for houseplants, carving wood, chess, choir singing, coding small
    games, collecting minerals, collecting old maps, collecting postcards, collecting stamps, collecting vinyl
    records, community theatre, cooking for friends, crochet, cross-country skiing, cycling, darts, dog training,
    dressmaking, embroidery, family history research, fencing, fishing, flower arranging, flying kites, folk dancing,
    football, foraging for mushrooms, gardening, geocaching, glass painting, golf, growing vegetables, hiking, home
    improvement, horse riding, ice skating, improvised theatre, jewellery making, jogging, judo, juggling, karaoke,
    karate, kayaking, keeping an aquarium, knitting, landscape photography, learning languages, leatherwork, letter
    writing, meditation, mending old clocks, metal detecting, mountain biking, neighbourhood volunteering, Nordic
    walking, orienteering, origami, paddle boarding, painting watercolours, paper cutting, pilates, playing board
    games, playing in a brass band, playing the accordion, playing the cello, playing the drums, playing the guitar,
    playing the piano, playing the violin, playing video games, poetry, pottery, printmaking, puppetry, quilting,
    quizzing, refurbishing furniture, repairing bicycles, repairing radios, rock climbing, rowing, running marathons,
    sailing, salsa dancing, scuba diving, sketching city scenes, snorkelling, soap making, solving crosswords,
    stargazing, storytelling, street photography, surfing, swimming, table football, table tennis, tango, tennis, tai
    chi, touring with a camper van, travelling by train, urban sketching, volleyball, weaving, whittling, wild
    swimming, windsurfing, woodworking, writing short stories, yoga
""")
"""Hobbies of people from 18 years on."""

CHILD_HOBBIES: dict[tuple[int, int], tuple[str, ...]] = {
    (4, 7): _words("""
        blowing soap bubbles, building dens out of blankets, building sandcastles, building towers of blocks, catching
        ladybirds, collecting chestnuts, dressing up, drawing dinosaurs, finger painting, jumping in puddles, looking
        after a pet rabbit, modelling clay animals, playing hide-and-seek, playing with toy trains, pretending to run
        a shop, riding a scooter, singing nursery songs, threading beads
    """),
    (6, 12): _words("""
        baking biscuits, ballet, building model planes, building with construction bricks, climbing trees, collecting
        football stickers, collecting shells, collecting stones, doing magic tricks, drawing comics, feeding the
        birds, flying kites, football, gymnastics, inventing secret codes, doing jigsaw puzzles, judo, keeping stick
        insects, learning the recorder, making friendship bracelets, playing marbles, pony riding, roller skating,
        skipping rope, solving riddles, swimming, table tennis, going on treasure hunts,
        learning yo-yo tricks
    """),
    (11, 17): _words("""
        badminton, basketball, beatboxing, building robots, chess, coding small games, debating,
        designing costumes, drawing manga, drumming, folding paper planes, handball, inline skating, juggling, karate,
        learning the guitar, making short videos, playing in a school band, playing video games, rock climbing,
        rowing, running a fan page, school theatre, scouting, sewing bags, singing in a youth choir, skateboarding,
        solving speed cubes, street dance, tennis, volleyball, writing songs, writing stories
    """),
}
"""Hobbies of children and teenagers, by first and last age."""

OPENINGS: dict[str, tuple[str, ...]] = {
    "school": (
        "{name} is {age} and {a_job}.",
        "{name}, {age}, is {a_job}.",
        "{name} is {a_age}-year-old {job}.",
        "at {age}, {name} is {a_job}.",
        "{name} turned {age} [not long ago|this year|a few months ago] and is {a_job}.",
        "this is {name}, {age} years old and {a_job}.",
    ),
    "student": (
        "{name} is {age} and {a_job}.",
        "{name}, {age}, is studying {subject}.",
        "{name} is {a_age}-year-old {job}.",
        "at {age}, {name} is [working towards|studying for] a degree in {subject}.",
        "{name} ({age}) is [enrolled|a student] at a [university|college], and {their} subject is {subject}.",
        "[lectures, seminars and exams in|books and lectures about] {subject} fill the [week|weekdays] of {name},"
        " {age}.",
    ),
    "working": (
        "{name}, {age}, [works as|earns a living as|makes a living as] {a_job}.",
        "{name} is {a_age}-year-old {job}.",
        "at {age}, {name} [works as|is employed as|is] {a_job}.",
        "{name} is {age} years old and works as {a_job}.",
        "{name} ({age}) is {a_job}[| and likes the work well enough].",
        "the working days of {name}, {age}, are those of {a_job}.",
        "this is {name}, {age}, {a_job}.",
    ),
    "retired": (
        "{name}, {age}, is {a_job}.",
        "{name} is {age} and retired; {they} used to work as {a_former}.",
        "after a working life as {a_former}, {name}, now {age}, is retired.",
        "{name} ({age}) worked as {a_former} until {they} retired.",
        "at {age}, {name} has left [{their} days|{their} years|a career] as {a_former} behind.",
    ),
}
"""First sentences by stage of life."""

OPENINGS_WITH_HOBBY: dict[str, tuple[str, ...]] = {
    "school": (
        "{name}, {age}, is {a_job} who [loves|is crazy about|never tires of] {hobby}.",
        "{name} is {age}, {a_job} and [very keen on|wild about|a great fan of] {hobby}.",
        "{a_job} of {age}, {name} [would spend whole days on {hobby} if allowed|puts every free minute into {hobby}].",
        "ask {name} ({age}, {a_job}) what is best in the world, and the answer is {hobby}.",
    ),
    "student": (
        "{name} is {age}, {a_job} and [very keen on|a great fan of|devoted to] {hobby}.",
        "{name}, {age}, divides {their} days between {subject} lectures and {hobby}.",
        "{a_job} of {age}, {name} [keeps up|somehow finds time for|never goes long without] {hobby}.",
        "there are two things {name}, {age}, can talk about without end: {subject}, the subject of {their} studies,"
        " and {hobby}.",
    ),
    "working": (
        "{name} is {age}, {a_job} and [very keen on|a great fan of|devoted to] {hobby}.",
        "{a_job} of {age}, {name} [gives|devotes] {their} [free time|spare time|weekends] to {hobby}.",
        "{name}, {age}, is {a_job} [whose heart is in|with a passion for|with a weakness for] {hobby}.",
        "ask {name} ({age}) about {self} and {they} [mentions|brings up] {hobby} before"
        " [saying|adding] that {they} is {a_job}.",
        "{name} is {age}; the job is that of {a_job}, the [passion|pastime|great love] is {hobby}.",
    ),
    "retired": (
        "{name}, {age}, is {a_job} [whose heart is in|with a passion for|with a weakness for] {hobby}.",
        "{a_job} of {age}, {name} [gives|devotes] [most days|many an hour|plenty of time] to {hobby}.",
        "{name} is {age}; after years as {a_former}, {they} now has time for {hobby}.",
        "since {name}, {age}, gave up working as {a_former}, {hobby} has taken over [the days|the week].",
    ),
}
"""First sentences that name the hobby too, by stage of life."""

HOBBY_SENTENCES: tuple[str, ...] = (
    "{off}, {hobby} is what {they} [looks forward to|likes best|has in mind].",
    "{off}, {they} [turns to|is busy with|goes in for] {hobby}.",
    "if there is one thing {they} would not give up, it is {hobby}.",
    "{hobby} is {their} [great|favourite|chosen] [hobby|pastime].",
    "{who} can [talk|go on] about {hobby} for [hours|ages|an hour and more].",
    "{their} [free time|spare time] [belongs to|goes into|is all about] {hobby}.",
    "weekends are [for|made for|set aside for] {hobby}.",
    "nothing [cheers {them} up|makes {them} forget the time] like {hobby}.",
    "for fun there is {hobby}[|, and plenty of it|, whenever it can be fitted in].",
    "{who} is [happy|content|in a good mood] whenever there is time for {hobby}.",
    "as for hobbies, {they} [has settled on|swears by|is all for] {hobby}.",
)
"""Sentences about the hobby, for any age."""

OFF: dict[str, tuple[str, ...]] = {
    "nursery": ("on most days", "when friends come round", "at the weekend", "in the holidays"),
    "school": ("on free afternoons", "at the weekend", "in the holidays", "whenever there is time to play"),
    "student": ("between lectures", "after classes", "when the books are closed", "outside the lecture hall"),
    "working": ("after work", "away from the job", "on days off", "once the working day is over", "outside work"),
    "retired": ("these days", "with time to spare", "on most mornings", "now that work is over"),
}
"""When there is time to spare, by stage of life; ``nursery`` is for those below school age."""
