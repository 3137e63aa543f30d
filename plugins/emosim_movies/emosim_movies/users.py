"""Film viewers: what is popular among them, how their traits and tastes are put, and populations made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from emosim_core.loading import CategoryProfile, CsvUsers, GeneratedUsers, PopulationProfile

TRAIT_TEXTS: dict[str, tuple[str, str, str]] = {
    "activity": (
        "gives up early: one disappointing film is enough to make them stop watching",
        "watches now and then, and stops after a few disappointing films",
        "is a patient viewer and goes on watching even after many disappointing films",
    ),
    "conformity": (
        "goes along with the public: their rating of a film is close to what most people give it",
        "weighs the public's opinion of a film and their own impression equally",
        "pays no attention to what the public thinks of a film and judges by their own impression alone",
    ),
    "diversity": (
        "watches only the kinds of film that they already know they like",
        "keeps mostly to their own taste, but likes to explore a few little-known corners of cinema",
        "looks for unusual films of every kind, far beyond their usual taste",
    ),
}
"""What the levels of each trait mean for a viewer; the texts go on from "a person who"."""

_SENTENCES = {
    "activity": (
        (
            "{who} stops watching [as soon as|the moment] [a film|something] [lets {them} down|disappoints {them}].",
            "one [poor|weak|dull] film is enough [to end the evening for {them}|and {they} is off doing something"
            " else].",
            "{who} is hard to keep in front of a screen: [the first let-down|one bad film] and {they} is gone.",
            "{who} [rarely|hardly ever] stays for another film after a disappointing one.",
            "after a single disappointment {they} [switches off for the day|calls it a day|finds something else to"
            " do].",
            "{who} comes and goes as a viewer, and [the first|a single] bad choice sends {them} away.",
            "nobody should count on {them} for a film marathon; [one letdown|one dull film] and {they} leaves.",
            "{their} patience with films is short[| and one mistake uses it up|: a bad one, and the screen goes dark].",
        ),
        (
            "{who} forgives [a disappointing film or two|two or three weak films][, but no more than that|, hardly"
            " more].",
            "after a few disappointments in a row {they} [has had enough|finds something else to do|calls it a day].",
            "{who} watches [now and then|from time to time] and leaves once [several films|a few films] have let"
            " {them} down.",
            "one bad film does not [bother {them}|drive {them} off]; a few [in a row|one after the other] do.",
            "{their} patience lasts for a few weak films[| and then runs out|, though not for a whole evening of"
            " them].",
            "{who} is neither quick to give up on films nor [endlessly patient|willing to sit through one dud after"
            " another].",
            "films are part of {their} week [now and again|on some evenings], and after [a few|several] poor ones"
            " {they} [takes a break|loses interest].",
            "when a film [falls flat|goes wrong], {they} gives the next one a chance, and [perhaps|maybe] one more.",
        ),
        (
            "{who} [keeps|goes on] watching even after [several|a whole row of] disappointments.",
            "it takes a [lot|great number] of bad films to [drive|send] {them} away.",
            "a disappointing film is no reason for {them} to stop; [there is always another to try|the next one"
            " waits].",
            "{who} [sits through|stays to the end of] [almost anything|nearly every film] and is ready for another.",
            "{who} has [great|endless|a lot of] patience with films and [comes back|carries on] after every letdown.",
            "however the last film went, {they} [is ready for|moves on to] the next.",
            "{who} watches [a great many films|film after film], and [dull ones are part of it|a few duds change"
            " nothing about that].",
            "hardly anyone [lasts longer|stays longer] in front of a screen, [weak films included|whatever is on].",
        ),
    ),
    "conformity": (
        (
            "{their} opinion of a film is [seldom|rarely] far from [what most people think of it|the general opinion].",
            "{who} goes along with [the majority|most people] [when judging a film|on whether a film is good].",
            "what [others|most people] think of a film [counts for a lot with {them}|soon becomes {their} view too].",
            "if everyone [praises|loves] a film, {they} is sure to [praise|love] it too; if everyone shrugs,"
            " {they} shrugs.",
            "{who} likes to [know|find out] what others thought of a film and [mostly|nearly always] agrees.",
            "{who} [trusts|relies on] the [general|common] verdict on a film more than {their} own first impression.",
            "a film that [the public|everybody] likes is a good film, as far as {they} is concerned[|, and the other"
            " way round].",
            "[well-reviewed|highly rated] films please {them} and [poorly reviewed|badly rated] ones do not; {they}"
            " [sees no reason to differ|is at home with the majority].",
        ),
        (
            "{who} listens to what others say about a film and then [makes up {their} own mind|forms a view].",
            "{their} verdict on a film is half {their} own and half [the public's|that of everyone else].",
            "[popular|general] opinion [has some weight|counts for something] with {them}, {their} own impression"
            " [just as much|no less].",
            "{who} agrees with the majority on some films and [parts ways with it|thinks differently] on others.",
            "praise from others makes {them} [curious|hopeful] about a film, but it does not [settle the matter|decide"
            " the verdict].",
            "{who} takes [other people's|the public's] view of a film into account without [simply adopting"
            " it|following it blindly].",
            "between the crowd's judgement of a film and {their} own, {they} [looks for the middle|gives each its"
            " due].",
            "a film's reputation is [a starting point|a first hint] for {them}, [no more and no less|not the last"
            " word].",
        ),
        (
            "{who} [pays no attention to|ignores|does not care about] what [others|most people] think of a film.",
            "[the public's|everyone else's] verdict on a film means [nothing|very little] to {them}.",
            "[praised or panned|loved or hated by everybody else], a film is something {they} judges for {self}.",
            "{who} forms {their} own opinion of every film, [whatever anyone else says|even if nobody shares it].",
            "a film's [fame|good name|reputation] [cuts no ice|carries no weight] with {them}.",
            "{who} is [happy|quite content] to be the only one who [likes|dislikes] a film.",
            "[reviews and rankings|awards and star counts] leave {them} cold; {they} [decides alone what a film is"
            " worth|trusts {their} own eyes].",
            "when talk turns to films, {they} [goes against the grain|holds {their} own ground] and [cheerfully|calmly]"
            " disagrees with the crowd.",
        ),
    ),
    "diversity": (
        (
            "{who} sticks to [the kinds of film|what] {they} already [likes|enjoys].",
            "{who} [knows|is sure of] what {they} likes in a film and [wants nothing else|looks for little else].",
            "films outside {their} usual taste [have little chance with {them}|are mostly left alone].",
            "{who} is [choosy|particular|selective]: only films close to {their} own taste get a chance.",
            "new kinds of film hold little appeal; {they} would rather [watch another of {their} favourite sort|stay on"
            " familiar ground].",
            "{their} taste in films is narrow and {they} sees no reason to [widen it|change that].",
            "when it comes to choosing a film, {they} [goes for the familiar|stays with the tried and tested].",
            "{who} would [sooner|rather] see a [well-loved|favourite] kind of film again than [be surprised|try"
            " something new].",
        ),
        (
            "{who} has a few [corners|niches] of cinema {they} likes to [explore|dig into].",
            "besides the usual films {they} [likes to look into|explores] a [small|hidden|little-known] corner of"
            " cinema [now and then|once in a while].",
            "{who} is [open to|glad of] lesser-known films as long as they are not too far from {their} own interests.",
            "from time to time {they} tries a film [a step away from|just outside] {their} usual taste.",
            "{who} likes to go deep into one kind of film and [find what few others know|hunt for its lesser-known"
            " titles].",
            "{their} taste in films has a firm middle and a few [side roads|curious edges] {they} likes to follow.",
            "{who} mostly stays with what {they} likes and makes [small|careful] detours to [little-seen"
            " films|something less known].",
            "a [little-known|half-forgotten] film can win {them} over if it is [near enough to|related to] what {they}"
            " likes anyway.",
        ),
        (
            "{who} [looks|hunts] for films [unlike any seen before|that are out of the ordinary|nobody else has heard"
            " of].",
            "the [stranger|more unusual] a film, the more it [interests|tempts|attracts] {them}.",
            "{who} would rather try something [unfamiliar|unheard-of|entirely new] than [see more of the same|return to"
            " familiar ground].",
            "{who} is [always|forever] on the lookout for [unusual|uncommon] films from any [corner of the"
            " world|time and place].",
            "familiar kinds of film soon bore {them}; {they} wants [surprises|something new every time].",
            "variety matters [most|more than anything] to {them}, and {their} choice of films [is hard to predict|jumps"
            " from one kind to the next].",
            "{who} [gladly|happily] leaves {their} own taste behind to see a film [of a kind never tried|that breaks"
            " the rules].",
            "{their} idea of a good choice is a film {they} [knows nothing about|could not have imagined].",
        ),
    ),
}

_CHILD_SENTENCES = {
    "activity": (
        (
            "{who} [runs off|wanders off] [as soon as|the moment] a film gets [boring|silly].",
            "one boring film and {they} [wants to do something else|is out of the room].",
            "{who} does not sit still for long: [one film that is no fun|a single dull film] and {they} [is"
            " gone|leaves].",
            "after one disappointing film {they} [will not hear of another|has had enough for the day].",
        ),
        (
            "{who} gives a film or two a chance, but [a few boring ones|three boring ones in a row] are too many.",
            "one boring film is [all right|no great matter] for {them}; after a few {they} [wants to play|loses"
            " interest].",
            "{who} watches [a film now and then|films on some days] and [stops|gives up] after a few that are no fun.",
            "{their} patience is good for a few dull films[| and not for more|, then {they} finds something to play].",
        ),
        (
            "{who} stays [in front of the screen|in {their} seat] even if [several films|one film after another] turn"
            " out dull.",
            "{who} can watch film after film, [boring ones included|the dull ones too].",
            "a film that is no fun does not [put {them} off|send {them} away]; {they} [waits for|wants to see] the"
            " next.",
            "it takes a lot of boring films [before {they} gives up|to make {them} leave].",
        ),
    ),
    "conformity": (
        (
            "{who} likes the films that [everyone|everybody else] likes.",
            "if {their} friends [think a film is great|love a film], {they} [does too|is sure to agree].",
            "{who} asks [the others|everyone] how they found a film and [nearly always thinks the same|says the same].",
            "what [other people|most others] think of a film [matters a lot|is what counts] to {them}.",
        ),
        (
            "{who} listens to what others say about a film and then [decides for {self}|makes up {their} own mind].",
            "sometimes {they} likes the films that everybody likes, and sometimes [not at all|quite others].",
            "{who} [hears|takes in] what {their} friends think of a film and [adds|has] a view of {their} own.",
            "when everyone loves a film, {they} is [curious|keen to see it], but [does not always agree|may well"
            " disagree].",
        ),
        (
            "{who} does not mind being the only one who [likes|does not like] a film.",
            "what [others|all the others] think of a film [makes no difference|is all the same] to {them}.",
            "{who} decides for {self} whether a film is good, [whatever the others say|and nobody can talk {them} out"
            " of it].",
            "if everyone says a film is great, {they} [may well say the opposite|still wants to judge for {self}].",
        ),
    ),
    "diversity": (
        (
            "{who} wants to see [the same kinds of film|what {they} already likes] again and again.",
            "{who} knows exactly which films {they} likes and [asks for no others|does not want any other].",
            "new kinds of film [do not tempt {them}|are met with a firm no]; {they} would rather see a favourite.",
            "with films, {they} [stays with|sticks to] [what is familiar|old favourites].",
        ),
        (
            "{who} likes {their} favourites best and [now and then|sometimes] tries a film [a bit different|few others"
            " know].",
            "{who} is curious about a film nobody knows, if it is [a little like|not too far from] {their} favourites.",
            "next to {their} favourites {they} has found [one or two|a few] [odd little|unusual] kinds of film to"
            " like.",
            "once in a while {they} [is happy to try|asks for] something [just beside|a little beyond] the usual"
            " films.",
        ),
        (
            "{who} always wants to see [something new|a film unlike all the others].",
            "the [odder|stranger] a film is, the [better {they} finds it|more {they} wants to see it].",
            "{who} is curious about every kind of film, [above all|most of all] the ones [nobody else picks|that look"
            " different].",
            "seeing the same kind of film twice is [boring|no fun] to {them}; {they} wants [surprises|new things].",
        ),
    ),
}

PROFILE = PopulationProfile(
    categories={
        "comedy": CategoryProfile(
            0.90,
            "comedies",
            (
                "comedies with quick jokes",
                "comedies where everything goes wrong",
                "warm-hearted comedies",
                "comedies that get sillier by the minute",
            ),
            (
                "screen jokes rarely make {them} laugh",
                "slapstick [tires|annoys] {them}",
                "{they} finds most film jokes [forced|more loud than funny]",
            ),
        ),
        "adventure": CategoryProfile(
            0.90,
            "adventure films",
            (
                "adventure films with maps to follow",
                "adventure films about long journeys",
                "adventure films in far-off places",
                "adventure films full of narrow escapes",
            ),
            (
                "perilous quests [all look alike|seem much the same] to {them}",
                "treasure hunts leave {them} unmoved",
                "{they} knows too well that the adventurer will [come home|survive]",
            ),
        ),
        "action": CategoryProfile(
            0.88,
            "action films",
            (
                "action films with clever stunts",
                "fast action films",
                "action films with a great chase",
                "action films that hardly stop for breath",
            ),
            (
                "chases and explosions [wear {them} out|are mere noise to {them}]",
                "fights go on far too long for {them}",
                "all that shooting and crashing [bores|tires] {them}",
            ),
            from_age=7,
        ),
        "thriller": CategoryProfile(
            0.84,
            "thrillers",
            (
                "thrillers with a twist at the end",
                "tense thrillers",
                "thrillers that keep everyone guessing",
                "slow-burning thrillers",
            ),
            (
                "suspense makes {them} [nervous|uneasy] rather than curious",
                "plot twists seem contrived to {them}",
                "{they} does not enjoy sitting on the edge of a seat",
            ),
            from_age=13,
        ),
        "drama": CategoryProfile(
            0.84,
            "dramas",
            ("dramas about families", "quiet dramas", "dramas with strong characters", "dramas that stay in the mind"),
            (
                "heavy stories [weigh on|depress] {them}",
                "long talks and tears [try {their} patience|are not {their} idea of a film]",
                "{they} sees no point in watching people be unhappy",
            ),
            from_age=10,
        ),
        "crime": CategoryProfile(
            0.82,
            "crime films",
            (
                "crime films with a stubborn detective",
                "crime films about the perfect heist",
                "clever crime films",
                "crime films that let the viewer solve the case",
            ),
            (
                "gangsters and murders [do not interest|depress] {them}",
                "police work on screen [bores|tires] {them}",
                "{they} would rather not spend an evening among crooks",
            ),
            from_age=13,
        ),
        "documentary": CategoryProfile(
            0.77,
            "documentaries",
            (
                "documentaries about nature",
                "documentaries about people with unusual lives",
                "documentaries that explain how things work",
                "documentaries about the past",
            ),
            (
                "facts and narrators [make {their} mind wander|are too dry for {them}]",
                "a film without a made-up story [does not hold {them}|is no fun for {them}]",
                "real life on screen [feels like a lesson|has little charm] for {them}",
            ),
        ),
        "animation": CategoryProfile(
            0.70,
            "animated films",
            (
                "animated films with beautiful pictures",
                "hand-drawn animated films",
                "animated films with talking animals",
                "inventive animated films",
            ),
            (
                "drawn figures [leave {them} cold|never seem alive to {them}]",
                "cartoon faces do not [touch|move] {them}",
                "{they} prefers real people on the screen to drawings",
            ),
        ),
        "fantasy": CategoryProfile(
            0.70,
            "fantasy films",
            (
                "fantasy films with dragons",
                "fantasy films about other worlds",
                "fantasy films full of magic",
                "fantasy films with old legends in them",
            ),
            (
                "magic and dragons are too far from life for {them}",
                "wizards and spells [leave {them} cold|do not convince {them}]",
                "{they} cannot keep invented kingdoms apart",
            ),
        ),
        "science fiction": CategoryProfile(
            0.69,
            "science fiction films",
            (
                "science fiction films about space travel",
                "science fiction films about the near future",
                "thoughtful science fiction films",
                "science fiction films with robots",
            ),
            (
                "spaceships and robots [mean nothing to|do not interest] {them}",
                "the future on screen seems cold to {them}",
                "invented technology [confuses|bores] {them}",
            ),
            from_age=7,
        ),
        "romance": CategoryProfile(
            0.67,
            "romances",
            (
                "romances with a happy ending",
                "romances that begin with a quarrel",
                "gentle romances",
                "bittersweet romances",
            ),
            (
                "love stories are too sweet for {them}",
                "kisses and longing looks [make {them} yawn|embarrass {them}]",
                "{they} can tell from the start which couple will find each other",
            ),
            from_age=12,
        ),
        "horror": CategoryProfile(
            0.52,
            "horror films",
            (
                "horror films with haunted houses",
                "eerie horror films",
                "horror films that rely on what is not shown",
                "horror films with a good monster",
            ),
            (
                "being frightened is [no pleasure to|not fun for] {them}",
                "scary scenes [keep {them} awake|stay with {them} for days]",
                "{they} does not want to see blood or monsters",
            ),
            from_age=16,
        ),
    },
    traits=_SENTENCES,
    child_traits=_CHILD_SENTENCES,
    likes=(
        "{who} [loves|is fond of|has a soft spot for] {liked}, and also enjoys {more}.",
        "{their} favourites are {liked}[, followed by|, along with|; then come] {more}.",
        "give {them} {liked} and {they} is [happy|content]; {more} are [welcome|fine] too.",
        "on a [free|rainy] [evening|afternoon] {they} [picks|chooses] {liked}, or else {more}.",
        "{they} [likes|enjoys] {more}, but best of all {they} likes {liked}.",
        "in {their} eyes, [nothing beats|little can match] {liked}, though {more} come close.",
        "{who} keeps [an eye out|looking] for {liked}, and for {more} as well.",
        "{who} is [drawn to|always in the mood for] {liked}; {they} also likes {more}.",
        "{who} [loves|is fond of|has a soft spot for] {liked}.",
        "{their} favourites are {liked}.",
    ),
    dislikes=(
        "{who} [keeps away from|avoids|has little time for] {disliked}; {reason}.",
        "{disliked} are not for {them}: {reason}.",
        "{who} would rather do without {disliked}, since {reason}.",
        "there is little {they} likes about {disliked}, as {reason}.",
        "{disliked} are [wasted on|lost on] {them}, because {reason}.",
        "{reason}, so {they} [skips|turns down] {disliked}.",
        "{who} [avoids|keeps away from] {disliked}, because {reason}, and [has little time for|is not drawn to] {more}"
        " either.",
        "{disliked} are not for {them}, as {reason}; [nor are|the same goes for] {more}.",
        "from {disliked} {they} expects little, since {reason}; {more} [fare no better|are no more to {their} taste].",
        "{reason}, so {they} [skips|turns down] {disliked}; {more} [rarely appeal to {them} either|are left alone"
        " too].",
        "besides {more}, {they} [avoids|passes over] {disliked}: {reason}.",
        "{who} [dislikes|could do without] {more}, and {disliked} too, as {reason}.",
        "{who} [keeps away from|avoids|has little time for] {disliked}.",
        "{disliked} [are not for {them}|do little for {them}|rarely appeal to {them}].",
        "what {they} does not [like|care for]: {disliked}.",
    ),
    no_dislikes=(
        "there is no kind of film {they} refuses outright.",
        "{who} cannot name a kind of film {they} dislikes.",
        "no kind of film is [ruled out|off limits] with {them}.",
    ),
)
"""Film viewers. Popularity: EmoSim-RL; the ages from which a category may be liked are ours."""


class Sampled(GeneratedUsers):
    """People with tastes as data and a written description that leaves them out."""

    profile = PROFILE
    kind = "sampled"


class Basic(GeneratedUsers):
    """People of whose tastes nothing is known."""

    profile = PROFILE
    kind = "basic"


class Detailed(GeneratedUsers):
    """People with tastes as data and in the description."""

    profile = PROFILE
    kind = "detailed"


class ViewersCsv(CsvUsers):
    """People from a CSV file, with the names that files of viewers have for film categories."""

    aliases: ClassVar[Mapping[str, str]] = {
        "animated": "animation",
        "sci-fi": "science fiction",
        "science-fiction": "science fiction",
        "scifi": "science fiction",
        "documentaries": "documentary",
        "film-noir": "film noir",
    }
