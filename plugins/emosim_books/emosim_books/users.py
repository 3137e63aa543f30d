"""Readers of books: what is popular among them, how their traits and tastes are put, and populations made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from emosim_core.loading import CategoryProfile, CsvUsers, GeneratedUsers, PopulationProfile

TRAIT_TEXTS: dict[str, tuple[str, str, str]] = {
    "activity": (
        "is quick to leave: after a single disappointing book they read no further",
        "reads on and off, and leaves books alone once a few of them have been disappointing",
        "is a persevering reader who picks up the next book however many have disappointed them",
    ),
    "conformity": (
        "shares the common opinion: their rating of a book lies near the one that most readers give it",
        "forms their verdict on a book half from their own reading of it and half from what other readers say",
        "judges a book by their own reading of it and never by how other readers rate it",
    ),
    "diversity": (
        "reads nothing but the kinds of book they have always been fond of",
        "reads mainly within their own interests, with a side trip now and then to a few rarely visited shelves",
        "reaches for out-of-the-ordinary books of any kind, however far they are from their habits",
    ),
}
"""What the levels of each trait mean for a reader; the texts go on from "a person who"."""

_SENTENCES = {
    "activity": (
        (
            "{who} needs only one [disappointing|tedious|poor] book to lose the [wish|urge] to open another.",
            "when a book [disappoints|fails] {them}, {they} [does not reach for the next|leaves the rest of the pile"
            " alone].",
            "a [disappointing|feeble] read, and {their} bookmark [goes back in the drawer|is put away] for a good"
            " while.",
            "{who} is [easily lost as a reader|a reader easily put off]: after [one wrong pick|the first dud] the pile"
            " stays untouched.",
            "{their} urge to read [does not survive|seldom outlives] a [bad pick|let-down].",
            "whoever recommends a book to {them} should get it right the first time, for there [is|will be] no second"
            " try.",
            "{who} [puts reading aside|gives reading a rest] [as soon as|once] a book has [disappointed {them}|been a"
            " waste of time].",
            "books get one chance with {them}: [if the first is no good|after the first failure], {they} [turns to"
            " other things|reads no further].",
        ),
        (
            "{who} reads [on and off|in spells]; a few disappointing books [bring on a break|make {them} pause for a"
            " while].",
            "a book that disappoints {them} is [soon forgotten|no tragedy], but [the third or fourth|the next few] had"
            " better be good, or {they} stops reading.",
            "{who} allows for [a couple of|a few] misses before [putting {their} reading aside|turning away from books"
            " for a time].",
            "it is only after [several|three or four] poor books that {they} [stops turning pages|leaves the rest"
            " unread].",
            "{their} [staying power|stamina] as a reader is [middling|about average]: [some|a few] disappointments are"
            " borne, a long run of them is not.",
            "{who} takes one weak book [calmly|in {their} stride], [grumbles at|wonders about] the second and [gives"
            " up|stops] after a few more.",
            "when one poor book follows another, {they} [sooner or later|in the end] [takes the whole pile back|lets"
            " the pile lie] and does something else.",
            "a [modest|reasonable] number of let-downs is [part of the bargain|fair enough] for a reader like {them};"
            " beyond that, {they} does not read on.",
        ),
        (
            "{who} has never been put off reading by a [dull book|bad book or two|whole shelf of bad books].",
            "the last page of a poor book [only sends {them} to the shelf for another|is soon followed by the first"
            " page of the next].",
            "{who} [finishes|reads to the end] whatever {they} has begun, good or bad, and [opens another|starts the"
            " next] the same [day|evening].",
            "[a whole season|a long run] of let-downs would not [stop|keep] {them} from reading.",
            "{who} [takes disappointing books as they come|accepts that many books disappoint] and reads on[|"
            " regardless| all the same].",
            "no [string|series] of dull books has yet [driven {them} from the armchair|made {them} hand in the library"
            " card].",
            "there is always a book [in {their} bag|by {their} bed], and a bad one is [simply|quickly] replaced by"
            " another.",
            "{who} would [read through a whole library|work through shelf after shelf] before losing heart over a few"
            " [failures|poor books].",
        ),
    ),
    "conformity": (
        (
            "a book [that is on everyone's lips|that everyone recommends] is one that {they} [will like as well|ends up"
            " praising too].",
            "{who} rates books [much as|in the way that] [most readers do|the reading public does].",
            "ask {them} about a book, and the answer [will be|is] close to [the common view|what most readers say].",
            "{who} looks up other readers' opinions first and [seldom|hardly ever] [departs from|contradicts] them.",
            "books that sell [everywhere|by the stack] [seldom|rarely] disappoint {them}, and those that readers shun"
            " do not win {them} over.",
            "the [average|shared] verdict of other readers is [usually|nearly always] {their} verdict too.",
            "in a reading circle, {they} would [nod along|side] with the majority.",
            "{who} [finds it hard|has no wish] to speak against a book that other readers [admire|recommend], or for"
            " one that they [reject|look down on].",
        ),
        (
            "{who} reads [reviews|other readers' comments] with interest, and the book itself with {their} own eyes.",
            "in {their} judgement of a book, other readers [have a say|get a vote], and so does {their} own reading of"
            " it.",
            "{who} meets other readers halfway: [part|half] of the verdict is theirs, the rest {their} own.",
            "a book that [is loved by many|has a crowd of admirers] starts with [a small advantage|some credit], but"
            " the pages must [do|earn] the rest with {them}.",
            "{who} neither obeys bestseller lists nor [ignores|scorns] them when [forming an opinion|judging a book].",
            "sometimes {they} [sides with|shares the view of] most readers, and sometimes [not|{they} stands apart]; it"
            " depends on the book.",
            "other readers' opinions can [sway|nudge] {their} view of a book [a little|somewhat], yet never turn it"
            " round.",
            "after finishing a book, {they} [compares notes with|listens to] other readers and [often ends up|usually"
            " settles] somewhere in between.",
        ),
        (
            "no [prize|bestseller list|glowing review] has ever [made up|changed] {their} mind about a book.",
            "{who} [reads|judges] every book as though [nobody had read it before|no one had ever said a word about"
            " it].",
            "what [the rest of the world|the reading public] makes of a book is of no [interest|concern] to {them}.",
            "{who} will [defend|praise] a book that everyone else has given up on, and find fault with one they"
            " [adore|rave about].",
            "{their} view of a book [is {their} own from the first page to the last|owes nothing to other readers].",
            "bestseller or [wallflower|shelf-warmer], a book stands or falls by what {they} finds in it.",
            "{who} never [asks|checks] how [other readers|others] rated a book, and would not be swayed by it.",
            "a [hundred|thousand] readers may [swear by|condemn] a book without [impressing|swaying] {them} [in the"
            " least|one bit].",
        ),
    ),
    "diversity": (
        (
            "{their} shelves hold [one sort of book|more and more of the same], and that is how {they} [likes|wants]"
            " it.",
            "in a bookshop {they} [heads for|walks straight to] the usual [shelf|corner] and looks nowhere else.",
            "{who} [seldom|hardly ever] opens a book [from outside|that lies beyond] {their} favourite kinds.",
            "{who} found {their} kind of book [long ago|early on] and has [stayed loyal to it|read little else since].",
            "a book of an unknown sort [stays shut|goes back on the pile] if {they} has the choice.",
            "{who} reads by habit: [the same sorts of story|familiar subjects|favourite authors], [over and over|year"
            " in and year out].",
            "that a book is [unusual|different] [is no recommendation to {them}|makes {them} put it back].",
            "{who} [wants to know|likes to be sure] beforehand what sort of book is waiting, and experiments are not"
            " [welcome|wanted].",
        ),
        (
            "{who} reads along familiar lines, with [the odd|an occasional] [trip|excursion] to a less visited shelf.",
            "next to the [usual|trusted] books on {their} pile there is [often|mostly] one that [hardly anybody has"
            " heard of|few people would pick].",
            "{who} [treasures|keeps going back to] a few [out-of-the-way|rarely read] authors, all of them [close"
            " to|within reach of] {their} main interests.",
            "{their} reading [circles around|centres on] a few interests, and within those {they} [digs up|seeks out]"
            " the [rare finds|overlooked titles].",
            "an obscure book [is welcome to|stands a chance with] {them}, provided it touches on something {they}"
            " already [cares for|reads about].",
            "now and then {they} [wanders|strays] one shelf further than usual and [comes back with a find|is pleased"
            " with what turns up].",
            "{who} likes {their} reading [mostly|largely] familiar, with a pinch of the [unknown|uncommon].",
            "a [special|private] interest or two [leads|takes] {them} to books that most readers never see.",
        ),
        (
            "{who} picks books [because|precisely because] they are nothing like the [last ones|others].",
            "from one book to the next, {they} [changes subject, style and century|crosses half the library].",
            "{who} [seeks out|is after] books that [few have opened|fit on no shelf|follow no pattern].",
            "no shelf is too [remote|dusty|odd] for {them}; {they} reads [across|through] all of them in search of"
            " something [rare|new].",
            "a book too [peculiar|odd] for most readers is [exactly|just] what {they} [hopes to find|is looking for].",
            "{their} pile of books has no common thread[, as each has to be a discovery| but the hope of a discovery|"
            " other than curiosity].",
            "{who} gets restless with [a second book of the same sort|well-trodden subjects] and [reaches for|goes"
            " looking for] something [far off|unexpected].",
            "the less {they} knows about a kind of book, the [sooner|more gladly] {they} [opens one|takes one home].",
        ),
    ),
}

_CHILD_SENTENCES = {
    "activity": (
        (
            "when a book is no fun, {they} [claps it shut|pushes it away] and [will not look at another|goes off to"
            " play].",
            "{who} has no more [time|patience] for books after one that was [boring|too long].",
            "a single boring story [ends story time for {them}|is one too many for {them}].",
            "if the first book of the day is [a let-down|no good], {they} does not [ask for|want] a second.",
        ),
        (
            "{who} puts up with a boring book or two, but then {they} [wants to go outside|has had enough of books].",
            "it takes [two or three|a few] dull books before {they} [leaves the reading corner|would rather play].",
            "{who} likes a bit of reading time, but if [three|several] books in a row are no fun, {they} [stops|goes"
            " off to play].",
            "one dull story is [quickly forgotten|not so bad] for {them}; a [third|fourth] is the last for that day.",
        ),
        (
            "{who} asks for one more book, and [then another|one more after that], even when [the last was boring|some"
            " of them were boring].",
            "no boring book can [chase {them} out of|make {them} leave] the reading corner.",
            "{who} turns every page to the end and then [takes|fetches] the next book, whatever the last was like.",
            "with books {they} has [all the patience in the world|a lot of patience]: a dull one is simply followed by"
            " another.",
        ),
    ),
    "conformity": (
        (
            "the book that all the other children want is the one {they} finds [best|most exciting].",
            "{who} waits to hear [how the others liked a book|what the others say about a book] and then says much the"
            " same.",
            "when others call a book boring, {they} [thinks so too|finds it boring as well]; when they cheer, {they}"
            " cheers.",
            "{their} opinion of a book [comes from|is borrowed from] [{their} friends|the other children].",
        ),
        (
            "{who} likes to hear what [friends|others] say about a book, but has {their} own [ideas|favourites] too.",
            "a book that others love gets a good start with {them}, and then it [must show|has to prove] that it is"
            " good.",
            "about some books {they} [agrees with|thinks like] the other children, and about some {they} does not.",
            "{who} believes half of what others say about a book and finds out the rest for {self}.",
        ),
        (
            "{who} has {their} own idea of [a good book|what makes a good story], and nobody can [change it|argue it"
            " away].",
            "even if everyone else [groans|says no], {they} stands by {their} favourite book.",
            "{who} does not ask [anyone|the others] whether a book is good; {they} looks inside.",
            "what {they} says about a book is [often|sometimes] the opposite of what [the others|{their} friends] say,"
            " and that does not bother {them}.",
        ),
    ),
    "diversity": (
        (
            "{who} asks for the same [book|kind of story] [every evening|night after night|each time].",
            "a [new|strange] sort of book [gets a shake of the head from|is not for] {them}; {they} wants one like all"
            " the rest.",
            "{their} books are all of one kind, and [no other will do|that is how it has to be].",
            "in the library {they} always [goes|runs] to the same [shelf|box of books].",
        ),
        (
            "{who} mostly picks books like {their} favourites, and [once in a while|some days] one with a"
            " [strange|curious] cover.",
            "besides the [usual|best-loved] stories, {they} has a [secret|special] liking for a few that hardly anyone"
            " borrows.",
            "{who} [will try|is ready to try] a book nobody else has picked if there is something in it that {they}"
            " likes already.",
            "{their} favourite kinds of book come first, but [something a little different|an odd one in between] is"
            " welcome too.",
        ),
        (
            "{who} pulls out the [oddest|strangest] book on the shelf to see what is inside.",
            "every visit to the library has to [bring|turn up] something {they} has never [seen|heard of] before.",
            "two books of the same sort in a row are one too many for {them}; {they} [wants|asks for] [a"
            " surprise|something quite different].",
            "{who} likes to look into [all sorts of books|books about anything at all], and the [rarest|most unusual]"
            " ones come first.",
        ),
    ),
}

PROFILE = PopulationProfile(
    categories={
        "fiction": CategoryProfile(
            0.90,
            "novels",
            (
                "novels about friendship",
                "novels with people to care about",
                "novels that end too soon",
                "novels set in one small town",
            ),
            (
                "invented people [do not matter to|seldom touch] {them}",
                "{they} sees little use in made-up events",
                "long stories lose {them} [halfway|somewhere in the middle]",
            ),
        ),
        "biography": CategoryProfile(
            0.74,
            "biographies",
            (
                "biographies of inventors",
                "biographies of artists",
                "biographies of people who started with nothing",
                "biographies that do not flatter",
            ),
            (
                "{they} finds the lives of the famous [dull|rather alike]",
                "accounts of a whole life from the cradle on [move too slowly for|tire] {them}",
                "a great name does not make {them} curious about the person",
            ),
            from_age=10,
        ),
        "economics": CategoryProfile(
            0.45,
            "books on economics",
            (
                "books on economics in plain words",
                "books on economics that explain money",
                "books on economics with examples from daily life",
                "books on economics that question old rules",
            ),
            (
                "the ways of markets [say nothing to|remain a riddle to] {them}",
                "figures about trade [blur before {their} eyes|send {them} to sleep]",
                "{they} does not believe that money explains the world",
            ),
            from_age=15,
        ),
        "health": CategoryProfile(
            0.62,
            "books on health",
            (
                "books on health by doctors who write clearly",
                "books on health that explain the body",
                "books on health with simple advice",
                "books on health that deal with sleep",
            ),
            (
                "advice on what to eat [spoils {their} appetite|makes {them} long for cake]",
                "reading about illnesses makes {them} feel ill",
                "{they} does not want to be told how to look after {self}",
            ),
            from_age=14,
        ),
        "philosophy": CategoryProfile(
            0.48,
            "books of philosophy",
            (
                "books of philosophy that ask simple questions",
                "books of philosophy for beginners",
                "books of philosophy from ancient times",
                "books of philosophy on how to live",
            ),
            (
                "questions without answers [annoy|tire] {them}",
                "abstract thoughts [slip away from|seem empty to] {them}",
                "{they} finds that philosophers take many words to say little",
            ),
            from_age=15,
        ),
        "computers": CategoryProfile(
            0.44,
            "books about computers",
            (
                "books about computers with projects to try",
                "books about computers that show how programs work",
                "books about computers with clear drawings",
                "books about computers for those who like to tinker",
            ),
            (
                "printed program code looks like noise to {them}",
                "screens are the last thing {they} wants to read about",
                "chips and software do not make {them} curious",
            ),
            from_age=8,
        ),
        "humor": CategoryProfile(
            0.78,
            "humorous books",
            (
                "humorous books full of mishaps",
                "humorous books with funny drawings",
                "humorous books about everyday life",
                "humorous books to read aloud",
            ),
            (
                "printed jokes [fall flat with|seldom amuse] {them}",
                "{they} seldom laughs at what is meant to be funny on paper",
                "being funny on every page seems tiresome to {them}",
            ),
        ),
        "drama": CategoryProfile(
            0.46,
            "plays",
            (
                "plays with sharp dialogue",
                "plays that can be read in one go",
                "plays about quarrelling families",
                "plays with a surprise in the last act",
            ),
            (
                "dialogue without a narrator [is hard going for|does not come alive for] {them}",
                "{they} would sooner see actors on a stage than read their lines",
                "stage directions [keep pulling {them} out of the story|trip {them} up]",
            ),
            from_age=8,
        ),
        "fantasy": CategoryProfile(
            0.72,
            "fantasy books",
            (
                "fantasy books with maps at the front",
                "fantasy books in which animals speak",
                "fantasy books in which magic has its price",
                "fantasy books with a hidden door in them",
            ),
            (
                "spells and prophecies [seem silly to|do nothing for] {them}",
                "{they} soon loses track among all the elves and dwarfs",
                "a world in which magic solves everything does not [grip|interest] {them}",
            ),
        ),
        "science fiction": CategoryProfile(
            0.60,
            "science fiction stories",
            (
                "science fiction stories set on distant planets",
                "science fiction stories that begin in an ordinary street",
                "science fiction stories about meeting aliens",
                "science fiction stories that ask what might be",
            ),
            (
                "life among the stars [seems bleak|means little] to {them}",
                "made-up machines need too much explaining for {their} taste",
                "{they} has no wish to imagine the far future",
            ),
            from_age=9,
        ),
        "mystery": CategoryProfile(
            0.80,
            "mysteries",
            (
                "mysteries with an unlikely sleuth",
                "mysteries set in a country house",
                "cosy mysteries",
                "mysteries that play fair with the reader",
            ),
            (
                "{they} does not care who the culprit is",
                "clues and suspects get mixed up in {their} head",
                "puzzling over a crime is too much like work for {them}",
            ),
            from_age=9,
        ),
        "thriller": CategoryProfile(
            0.76,
            "thrillers",
            (
                "thrillers with short chapters",
                "thrillers about spies",
                "thrillers that cost a night's sleep",
                "thrillers set in a courtroom",
            ),
            (
                "constant danger on the page [makes {them} tense|gets on {their} nerves]",
                "a conspiracy behind every door is more than {they} can believe",
                "cliffhangers feel like cheap tricks to {them}",
            ),
            from_age=14,
        ),
        "romance": CategoryProfile(
            0.62,
            "romances",
            (
                "romances told in letters",
                "romances that take their time",
                "romances between old rivals",
                "romances set by the sea",
            ),
            (
                "other people's love affairs [do not move|bore] {them}",
                "page after page of longing [tries|wears out] {their} patience",
                "{they} finds the couples in love stories less than believable",
            ),
            from_age=13,
        ),
        "horror": CategoryProfile(
            0.50,
            "horror stories",
            (
                "horror stories with ghosts",
                "horror stories that start harmlessly",
                "horror stories set in lonely places",
                "old-fashioned horror stories",
            ),
            (
                "{they} sleeps badly after reading about ghosts or killers",
                "cruelty on the page [turns {their} stomach|upsets {them}]",
                "dread is not a feeling {they} looks for in a book",
            ),
            from_age=16,
        ),
        "historical fiction": CategoryProfile(
            0.70,
            "historical novels",
            (
                "historical novels set in ancient cities",
                "historical novels about ordinary families",
                "historical novels rich in detail",
                "historical novels set at sea",
            ),
            (
                "invented conversations of kings and queens ring false to {them}",
                "{they} does not like facts about the past to be mixed with invention",
                "[castles and carriages|swords and carriages] do not [tempt|charm] {them}",
            ),
            from_age=10,
        ),
        "adventure": CategoryProfile(
            0.80,
            "adventure stories",
            (
                "adventure stories about lost treasure",
                "adventure stories on the high seas",
                "adventure stories with a daring rescue",
                "adventure stories set in the jungle",
            ),
            (
                "one narrow escape after another [tires|wearies] {them}",
                "shipwrecks and jungles do not stir {them}",
                "dangerous journeys do not tempt {them} even on paper",
            ),
        ),
        "children": CategoryProfile(
            0.55,
            "children's books",
            (
                "children's books with lovely pictures",
                "children's books about brave animals",
                "children's books that make grown-ups laugh too",
                "children's books full of mischief",
            ),
            (
                "talking animals [do not charm|bore] {them}",
                "stories told in simple words do not hold {them}",
                "tales that end with a lesson [make {them} yawn|annoy {them}]",
            ),
        ),
        "young adult": CategoryProfile(
            0.60,
            "books for young adults",
            (
                "books for young adults about first love",
                "books for young adults on finding one's place",
                "books for young adults set in a harsh future",
                "fast-moving books for young adults",
            ),
            (
                "teenage troubles [do not speak to|tire] {them}",
                "stories about growing up [all sound alike|say little] to {them}",
                "{they} finds heroes of school age too full of themselves",
            ),
            from_age=12,
        ),
        "classics": CategoryProfile(
            0.62,
            "classics",
            (
                "classics from the nineteenth century",
                "classics that still feel fresh",
                "classics in handsome old editions",
                "classics of a thousand pages",
            ),
            (
                "old-fashioned language [slows {them} down|is hard work for {them}]",
                "books from another age [have little to say|seem dusty] to {them}",
                "great literature smells of school to {them}",
            ),
            from_age=13,
        ),
        "memoir": CategoryProfile(
            0.66,
            "memoirs",
            (
                "memoirs of a childhood far away",
                "memoirs written with humour",
                "memoirs by people nobody has heard of",
                "frank memoirs",
            ),
            (
                "{they} does not trust what people write about themselves",
                "other people's memories [leave {them} unmoved|are too private for {them}]",
                "life stories told by those who lived them sound vain to {them}",
            ),
            from_age=14,
        ),
        "history": CategoryProfile(
            0.72,
            "books on history",
            (
                "books on history that read like a story",
                "books on history that show how people used to live",
                "books on history with old maps in them",
                "books on history that go back to the ancient world",
            ),
            (
                "dates and battles [do not stay in {their} head|make {them} yawn]",
                "what happened long ago is over and done with for {them}",
                "{they} is [more|far more] curious about today than about the past",
            ),
        ),
        "science": CategoryProfile(
            0.64,
            "books on science",
            (
                "books on science with experiments to try",
                "books on science that explain the stars",
                "books on science full of astonishing facts",
                "books on science by real researchers",
            ),
            (
                "experiments and formulas [mean nothing to|puzzle] {them}",
                "{they} does not need to know how everything works",
                "scientific explanations [lose {them} after a page|make {them} drowsy]",
            ),
        ),
        "psychology": CategoryProfile(
            0.66,
            "books on psychology",
            (
                "books on psychology that deal with memory",
                "books on psychology that explain habits",
                "books on psychology with cases from real life",
                "books on psychology about families",
            ),
            (
                "theories about the mind [seem far-fetched to|do not convince] {them}",
                "{they} does not care to have {their} feelings taken apart",
                "an explanation for every human weakness is one too many for {them}",
            ),
            from_age=15,
        ),
        "self-help": CategoryProfile(
            0.58,
            "self-help books",
            (
                "self-help books on better habits",
                "self-help books with exercises to do",
                "self-help books about staying calm",
                "short self-help books",
            ),
            (
                "advice from strangers makes {them} stubborn",
                "promises of a better life in a few steps do not convince {them}",
                "being told to think positively [annoys|tires] {them}",
            ),
            from_age=16,
        ),
        "business": CategoryProfile(
            0.48,
            "business books",
            (
                "business books about companies that failed",
                "business books on how to lead a team",
                "business books by people who founded something",
                "business books full of case studies",
            ),
            (
                "managers' success stories [bore {them}|sound like advertising to {them}]",
                "{they} does not want to read about companies for pleasure",
                "talk of strategy and growth is empty noise to {them}",
            ),
            from_age=16,
        ),
        "politics": CategoryProfile(
            0.46,
            "books on politics",
            (
                "books on politics that explain how laws are made",
                "books on politics by seasoned reporters",
                "books on politics in other countries",
                "books on politics that hear both sides",
            ),
            (
                "quarrels between parties [tire|bore] {them}",
                "{they} hears enough of politicians in the news",
                "arguments about power [spoil {their} mood|are no pleasure to {them}]",
            ),
            from_age=15,
        ),
        "religion": CategoryProfile(
            0.40,
            "books on religion",
            (
                "books on religion that compare beliefs",
                "books on religion that tell of old customs",
                "books on religion with stories of saints",
                "books on religion that leave room for doubt",
            ),
            (
                "matters of faith are too private for {them} to read about",
                "{they} finds writing about faith [too solemn|hard to follow]",
                "questions of belief do not [occupy|concern] {them} much",
            ),
            from_age=13,
        ),
        "travel": CategoryProfile(
            0.66,
            "travel books",
            (
                "travel books about long train rides",
                "travel books by people who went on foot",
                "travel books about islands",
                "travel books that make one want to pack a bag",
            ),
            (
                "other people's journeys are like other people's holiday photos to {them}",
                "{they} would sooner go somewhere than read about it",
                "descriptions of far-off places [blur together for|seldom hold] {them}",
            ),
            from_age=10,
        ),
        "nature": CategoryProfile(
            0.64,
            "books about nature",
            (
                "books about nature with fine drawings",
                "books about nature in the far north",
                "books about nature close to home",
                "books about nature through the seasons",
            ),
            (
                "birds and beetles on paper do not interest {them}",
                "{they} would sooner be outdoors than read about trees",
                "descriptions of woods and weather [make {their} mind wander|go on too long for {them}]",
            ),
        ),
        "poetry": CategoryProfile(
            0.42,
            "books of poems",
            (
                "books of poems that rhyme",
                "books of poems about the seasons",
                "books of poems to learn by heart",
                "slim books of poems",
            ),
            (
                "verses [seem like riddles to|say too little to] {them}",
                "rhyme and rhythm [only distract|do nothing for] {them}",
                "{they} wants things said plainly rather than in verse",
            ),
        ),
        "art": CategoryProfile(
            0.52,
            "art books",
            (
                "art books with large pictures",
                "art books about a single painting",
                "art books that show how to draw",
                "art books about colour",
            ),
            (
                "paintings [do not speak|say little] to {them}",
                "{they} sees no point in reading about pictures",
                "talk about colour and form [passes {them} by|bores {them}]",
            ),
        ),
        "sports": CategoryProfile(
            0.50,
            "sports books",
            (
                "sports books about great comebacks",
                "sports books about football",
                "sports books with stories from the changing room",
                "sports books about famous races",
            ),
            (
                "matches and records mean nothing to {them}",
                "{they} would sooner play a game than read about one",
                "who won which cup does not interest {them}",
            ),
        ),
        "cooking": CategoryProfile(
            0.62,
            "cookbooks",
            (
                "cookbooks with a photo of every dish",
                "cookbooks with old family recipes",
                "cookbooks for simple meals",
                "cookbooks full of cakes",
            ),
            (
                "recipes are no reading matter for {them}",
                "lists of ingredients [bore {them}|make {them} impatient]",
                "{they} cares more about eating than about how dishes are made",
            ),
        ),
        "essays": CategoryProfile(
            0.44,
            "books of essays",
            (
                "books of essays on small everyday things",
                "books of essays that change one's mind",
                "books of essays to dip into",
                "witty books of essays",
            ),
            (
                "other people's opinions at length [tire|do not interest] {them}",
                "short pieces end before {they} has warmed to them",
                "{they} prefers events to someone's reflections",
            ),
            from_age=15,
        ),
    },
    traits=_SENTENCES,
    child_traits=_CHILD_SENTENCES,
    likes=(
        "the books {they} [reaches for first|looks forward to most] are {liked}; after those come {more}.",
        "{who} is happiest with {liked}, and [glad of|pleased with] {more} too.",
        "as a present, {liked} are [sure to please {them}|always right for {them}], and {more} are a [good|safe] second"
        " choice.",
        "{their} shelf has room for {more}, but {liked} [take up the most space|stand in front].",
        "[in the library|in a bookshop] {they} first looks for {liked}, and then for {more}.",
        "{liked} come first in {their} reading, with {more} [close behind|not far behind].",
        "for {liked} {they} [drops everything else|puts everything aside]; {more} can wait a little, but not for long.",
        "{more} [please|suit] {them} well, though not as well as {liked}.",
        "few things [please|delight] {them} like {liked}, and {more} are [always welcome|a good choice] too.",
        "{who} cannot [get enough of|resist] {liked}.",
        "{liked} are what {they} [reads most gladly|looks for first in any library].",
        "the [best|finest] books there are, as {they} sees it, are {liked}.",
    ),
    dislikes=(
        "{disliked} [stay on the shelf|are left unopened] when {they} chooses: {reason}.",
        "{who} [does not get on with|cannot warm to] {disliked}, because {reason}.",
        "nobody needs to give {them} {disliked}, as {reason}.",
        "{reason}, and that is why {they} [leaves out|gives a wide berth to] {disliked}.",
        "{who} [would choose almost anything over|makes a detour round] {disliked}; {reason}.",
        "with {disliked} {they} [gets nowhere|makes no headway], since {reason}.",
        "{disliked} [stay on the shelf|are left unopened], since {reason}, and {more} [share that fate|fare likewise].",
        "{who} [cannot warm to|does not get on with] {disliked}, because {reason}; {more} [do not suit {them}|are not"
        " to {their} liking] either.",
        "{reason}, which is why {they} passes by {disliked}; {they} is [no friend of|not fond of] {more} either.",
        "apart from {more}, which [seldom tempt {them}|{they} seldom opens], it is {disliked} that {they} [puts"
        " back|leaves alone]: {reason}.",
        "{more} do not [appeal to|tempt] {them}, and neither do {disliked}, because {reason}.",
        "as {reason}, {disliked} go unread, and [so do {more}|{more} do too].",
        "{who} [seldom opens|leaves alone|walks past] {disliked}.",
        "{disliked} [are not what {they} wants to read|hold little charm for {them}|stay where they are when {they}"
        " picks a book].",
        "[last on {their} list|at the bottom of {their} pile]: {disliked}.",
    ),
    no_dislikes=(
        "{who} would not [turn away|refuse] any kind of book.",
        "there is no shelf {they} [walks past|would leave out].",
        "asked what sort of book {they} dislikes, {they} [shakes {their} head|can name none].",
    ),
    # No reasons: each would have to name the category once more in the same sentence.
    other=CategoryProfile(
        0.5,
        "books filed under {category}",
        (
            "well-written books filed under {category}",
            "short books filed under {category}",
            "lively books filed under {category}",
            "books filed under {category} that hold a surprise",
        ),
    ),
)
"""Readers. Popularity and the ages from which a category may be liked are ours: estimates, measured nowhere."""


class Sampled(GeneratedUsers):
    """Readers with tastes as data and a written description that leaves them out."""

    profile = PROFILE
    kind = "sampled"


class Basic(GeneratedUsers):
    """Readers of whose tastes nothing is known."""

    profile = PROFILE
    kind = "basic"


class Detailed(GeneratedUsers):
    """Readers with tastes as data and in the description."""

    profile = PROFILE
    kind = "detailed"


class ReadersCsv(CsvUsers):
    """Readers from a CSV file, with the names that files of readers have for book categories."""

    aliases: ClassVar[Mapping[str, str]] = {
        "general fiction": "fiction",
        "literary fiction": "fiction",
        "novel": "fiction",
        "novels": "fiction",
        "autobiographies": "biography",
        "autobiography": "biography",
        "biographies": "biography",
        "biography & autobiography": "biography",
        "business & economics": "economics",
        "economy": "economics",
        "diet & fitness": "health",
        "fitness": "health",
        "health & fitness": "health",
        "health & wellness": "health",
        "wellness": "health",
        "computer": "computers",
        "computer science": "computers",
        "computers & technology": "computers",
        "computing": "computers",
        "programming": "computers",
        "comedy": "humor",
        "humour": "humor",
        "play": "drama",
        "plays": "drama",
        "theater": "drama",
        "theatre": "drama",
        "sci-fi": "science fiction",
        "science-fiction": "science fiction",
        "scifi": "science fiction",
        "sf": "science fiction",
        "crime": "mystery",
        "crime fiction": "mystery",
        "detective": "mystery",
        "detective stories": "mystery",
        "mysteries": "mystery",
        "suspense": "thriller",
        "thrillers": "thriller",
        "love stories": "romance",
        "romances": "romance",
        "ghost stories": "horror",
        "historical": "historical fiction",
        "historical novels": "historical fiction",
        "historical-fiction": "historical fiction",
        "adventures": "adventure",
        "action & adventure": "adventure",
        "children's": "children",
        "children's books": "children",
        "childrens": "children",
        "juvenile fiction": "children",
        "kids": "children",
        "picture books": "children",
        "teen": "young adult",
        "ya": "young adult",
        "young adult fiction": "young adult",
        "young-adult": "young adult",
        "classic": "classics",
        "classic literature": "classics",
        "memoirs": "memoir",
        "popular science": "science",
        "personal development": "self-help",
        "self help": "self-help",
        "self-improvement": "self-help",
        "selfhelp": "self-help",
        "management": "business",
        "political science": "politics",
        "religion & spirituality": "religion",
        "spirituality": "religion",
        "travel writing": "travel",
        "travelogue": "travel",
        "natural history": "nature",
        "poems": "poetry",
        "art & photography": "art",
        "arts": "art",
        "sport": "sports",
        "sports & recreation": "sports",
        "cookbook": "cooking",
        "cookbooks": "cooking",
        "cookery": "cooking",
        "food & drink": "cooking",
        "essay": "essays",
    }
