"""What people say around a request without asking for anything, and what they ask or write that nobody could foresee."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from tests.demo_model.data.language.slotted import Maker, compiled
from tests.demo_model.data.language.vocabulary import slots
from tests.demo_model.data.language.wording import capitalised

_SENTENCES = (
    # What others did, do and will do.
    "{who} {did} {past}.", "{who} {did} {spot}.", "{past}, {who} {did}.", "{they} {did} {past}.", "{they} {do} {habit}.", "{who} {frequency} {does}.", "{they} {frequency} {do}.",
    "{comment}, {who} {did}[ {past}|].", "{who} has [just|already|finally|recently|never|once] {done}.", "{they} have [just|already|finally|never|often] {done}.",
    "{who} is {doing}[ {spot}| again| right now| at the moment|].", "{they} are {doing}[ again| right now| today|].", "{who} was {doing} when {who} {did_alone}.",
    "{who} will {do} {future}.", "{who} is going to {do} {future}.", "{they} are going to {do} {future}.", "{who} had to {do} {past}.", "{who} [wants|hopes|plans|has promised|tends|likes|is trying|has decided] to {do}.",
    "{who} [did not|didn't] {do} {past}.", "{who} [cannot|can't|won't|would never|could not] {do}.", "{who} [keeps|started|stopped|enjoys|hates|loves|dreads] {doing}.", "{who} used to {do} {habit}.",
    "{who} {manner} {did_thing} {the_thing}.", "{who} {did_alone} {manner}.", "{they} {did_alone} {spot} {since}.", "{who} has been {doing_alone} {since}.", "{they} have been {doing} {since}.",
    "while {who} was {doing_alone}, {who} {did}.", "after {who} {did}, {they} {did_alone}.", "before {they} {did_alone}, {who} {did}.", "{who} {did} and [then |]{did_alone}.", "{who} [said|thinks|heard|claims|knows|told me] that {who} {did}.",
    "whenever {who} {does_alone}, {who} {does_alone} too.", "if {who} {does_alone}, {they} {do_alone} as well.", "instead of {doing_alone}, {who} {did}.", "without {doing_alone}, {who} {did}.", "{who} {did_alone}, but {who} [did not|didn't].",
    # The speaker and the speaker's people.
    "I {did} {past}.", "I {did} {spot}.", "I have [just|already|finally|nearly|almost] {done}.", "I have been {doing} {since}.", "I [am|'m|was] {doing_alone} {spot}.", "I [will|'ll|may|might|have to|must|shall] {do} {future}.",
    "I am [still|already|always|not] {state}[ today| this morning|].", "I'm {very_state}[ today| this morning|].", "we are all {very_state} here.", "we were {very_state} {past}.", "I feel {very_state}[ today|].", "I could not {do} {past}.",
    "I am writing this {spot}, so I [keep it short|am slow|will be brief|can hardly type].", "I'm [sitting|standing|waiting|stuck|hiding|working] {spot}[ with {they}| with {a_thing}| right now|].", "we are [sitting|waiting|still|all] {spot}.", "I have {a_thing} [in my hand|in front of me|on my lap|with me].",
    "I [always|usually|mostly|often] {do} {habit}.", "I was {doing} when {who} {did_alone}.", "I [forgot|failed|tried|managed|meant|promised] to {do} {past}.", "we [had planned|were going|are about|are hoping] to {do} {future}.", "I [grew up|have lived|used to work|once slept] {near}.",
    "I have [two|three|four|several|no] {thing_s} and {a_thing}.", "I [own|found|bought|inherited|lost|sold|repaired] {a_thing} {past}.", "we [met|saw|visited|called|thanked] {who} {past}.", "my {body_only} [hurts|aches|itches|is sore|is cold|is better now].", "I [am|was] not {very_trait}, but {who} is.",
    "I am [not {a_trait} person|usually {very_trait}], {comment}.", "I [love|like|hate|adore|can't stand|don't mind|miss|prefer] {topic}.", "I [love|hate|enjoy|miss] {doing}.", "I have [an exam|a meeting|an appointment|a date|a class|a deadline] {future}.",
    # How people are.
    "{who} is {very_trait}.", "{they} are {very_trait}.", "{who} is {very_state}[ today| again|].", "{who} has been {very_state} {since}.", "{they} were {very_state} {past}.", "{who} is [{a_people_only}|{a_trait} {people_only}][ {spot}|].", "{who} is [more|less] {long_trait} than {who}.", "{who} is as {trait} as {who}.",
    "{who} seems {very_state}[ today| these days|].", "{who} looked {state} {past}.", "{who} lives {near}.", "{who} works {near}.", "{who} is [waiting|sitting|here|standing] {spot}.", "{who} has a sore {body_only}.", "{who} [talked|complained|dreamt|worried|joked] about {topic} {past}.",
    "{they} [talk|argue|laugh|know everything|care] about {topic}.", "{who} knows [a lot|nothing|everything|very little] about {topic}.", "{who} is [fond|afraid|proud|tired|fed up with the smell] of {animals_s_only}.", "{who} bought {a_thing} for {who}.", "{who} gave {who} {a_thing} {past}.",
    # Things, places, food, animals.
    "the {thing} {thing_did} {past}.", "the {thing_only} {frequency} {thing_does}[ {habit}|].", "the {thing} is {spot}.", "the {thing_s_only} are {spot}.", "the {thing} is {things_only}.", "there is {a_thing} {spot}.", "there [are|were] [some|three|no|many|too many|a few] {thing_s} {spot}.",
    "{a_thing} [lay|stood|was found|disappeared] {spot} {past}.", "my {thing} is [more|less|not as] {judged} [than {owner}'s|than it was|than yours|than that {thing_only}].", "{the_thing} [and {a_thing} |]belonged to {who}.", "the {thing} has been {spot} {since}.", "one of the {thing_s_only} {thing_did} {past}.",
    "the {places_only} is [closed|open|empty|full|crowded|quiet|being painted]{where}.", "the {places_only} [closes|opens] {future}.", "there is [{a_places}|one {places_only}|only one {places_only}] {near}.", "the {places_only} [was|is] {very_judged}.", "it is not far to the {places_only}.", "there are [no|two|hardly any|several] {places_s_only} {near}.",
    "the {foods} is {degree} [good|sour|tasty|sweet|fresh|salty].", "we had {foods_s} and {edible} for [lunch|dinner|breakfast|supper].", "{who} brought [some|a bag of|a box of] {foods_s}.", "we have run out of {mass}.", "there is [no|not much|plenty of|still some|too much] {mass} left.", "{who} made {a_foods} with {edible}.",
    "{a_animals} [ran|sat|slept|was seen|hid] {spot} {past}.", "{who} has {a_animals}.", "the {animals_s_only} are [asleep|noisy|hungry|gone|back] [again|today|already].", "we saw [some|two|three] {animals_s_only} {spot}.", "there is {a_nature} {near}.", "the {nature_s_only} {near} are [lovely|gone|in bloom|huge].",
    # The day, the weather, life in general.
    "it is {very_weather} [today|outside|here|again|this morning].", "it was {very_weather} {past}.", "it has been {very_weather} {since}.", "it's {weather} and [grey|windy|a bit wet|rather calm] [here|outside|again].", "it has been [a|such a] [long|busy|short|strange|lovely|quiet|hard|difficult|good] [day|week|month|morning|night|year|summer].", "it [rained|snowed|poured] {past}.",
    "the {events_only} was {very_judged}.", "the {events_only} is {future}.", "the {events_only} [starts|begins|takes place|ends] {future}.", "{who} is late for the {events_only}.", "we [enjoyed|missed|left|organised] the {events_only} {past}.", "it was {a_judged} {events_only}.", "there will be {a_events} {future}.",
    "{idea} is [more important|rarer|better|worth more] than {idea}.", "{idea} [takes time|is everything|is not easy|costs nothing|comes with age].", "it takes [a lot of|some|no] {idea} to {do_alone}.", "{doing_alone} is [better|harder|easier] than {doing_alone}.", "to {do_alone} is [harmless|human|fun|no crime].", "it is {very_judged} to {do}.",
    "it is {judged} that {who} {did}.", "it was {who} who {did}.", "what {who} {did_thing} was {a_thing}.", "the [first|best|worst|last] {events_only} is [over|behind us|tomorrow].", "nobody {did} {past}.", "everybody [but|except] {who} {did_alone} {past}.", "neither {name} nor {name} {did}.", "both {name} and {name} {did_alone}.",
    "there was {a_abstract} with the {thing_only}.", "the {abstract_only} is {very_judged}.", "that {abstract} [cost|surprised|helped|annoyed] {who}.", "{comment}, the {abstract_only} [was|is] {judged}.", "what {a_judged} {day}!", "so much for {topic}.", "no {idea}, no {idea}.", "[ah|oh|hm|well], {topic}!", "the {thing_only} that {who} {did_thing} {thing_did}.",
    "the {people_only} who {did} is {state}.", "the more {who} {does_alone}, the more {who} {does_alone}.", "no sooner had {who} {done} than {who} {did_alone}.", "not only the {thing_only}, but also the {thing_only} {thing_did}.", "the {thing_only} was {done_thing} by {who}.", "the {thing_s_only} were {done_thing} {past}.",
    # Small talk.
    "I [think|believe|guess|suppose|hear|am told|was told|gather] {who} {did}.", "[it turns out|rumour has it|they say|the thing is|the trouble is|the good news is|the funny thing is] that {who} {did}.", "[to cut a long story short|long story short|in other words|in short], {who} {did_alone}.", "I [am|'m] not [sure|certain] whether {who} {did}.", "I [don't know|have no idea|forgot] why {who} {did}.",
    "there was a time when {they} {did} {habit}.", "not much [happens|has changed|can be seen] {spot}.", "[all|everything|nothing] is [fine|quiet|new|as usual|ready] {spot}.", "my {relation} and {owner}'s {relation} are [friends|neighbours|colleagues|twins|getting married].", "my {relation} [sends greetings|says hi|says hello|is watching|is next to me|is on the phone].", "{who} [left|came|called|shouted], and {they} {did_alone}.",
    "I [am trying|am learning|would love|used|was never able|am too tired|am old enough] to {do}.", "I [really |quite |rather |]like your {style} answers.", "you were {very_kind} {lately}.", "my [day|morning|week|evening] was {very_judged}[, how nice|, really| so far|].", "I [bet|swear|promise] {who} {did}.", "[luckily|sadly|thankfully], I [have|had] {a_thing} with me.", "we are [three|four|five|six|seven] people and {a_animals} {spot}.",
    "[it is|it's] {day}, and {who} is {state}.", "[it is|it's] [early|late|dark|noisy|quiet|cold|crowded] {spot}.", "[it is|it's] a [quiet|busy|lovely|rainy|strange|slow] {day} {spot}.", "the [kids|children|neighbours|cats|dogs|builders|guests] are [noisy|asleep|hungry|bored|here|back] [again|already|today].", "my [bus|train|tram|ferry|flight] is [late|early|full|delayed|cancelled] [again|today].", "[coffee|tea|lunch|dinner|breakfast] [is ready|was good|can wait|comes first].",
    "[I hope|hope] [you are well|all is well|your day is good|you had a nice weekend|things are fine].", "[nice to see you|good to be back|here I am|here we go|there we are|back again|it's me again][ after the {events_only}|].", "I have been [away|ill|busy|on holiday|asleep] {since}.", "I just [got home|woke up|had lunch|arrived|sat down][ from the {places_only}|].",
    "[no worries|never mind|all good|no harm done|don't worry] about the {thing_only}.", "[sorry|apologies] for {doing_sorry}.", "[thanks|thank you] for [yesterday|last time|your patience|the last answer|being there].", "my [phone|laptop|keyboard|screen|tablet] is [new|slow|almost empty|acting up|a bit broken], [so bear with me|sorry|by the way].",
    "[by the way|just so you know|for what it's worth|as it happens|fun fact], {who} {did}.", "{day} is [my day off|laundry day|the worst day|always busy|{owner}'s birthday].", "{month} is {degree} [cold|warm|busy|quiet] [here|{spot}].", "time [flies|passes slowly] when {who} {does_alone}.", "only [two|three|four|five|ten] [days|weeks|hours|minutes] [to go|left|until the {events_only}].",
)  # fmt: skip
_REASONS = (
    "[because|since|as] {who} {did}", "[because|since|as] {who} is {very_state}", "[because|since|as] {they} are {doing}", "[because|since] the {thing_only} {thing_did}", "[because|since] my {thing} is {things_only}", "[because|as] {who} is late", "[because|since] nobody else [answers|is here|knows|has time|can|dares]",
    "[because|as|since] I am {very_state}", "[because|since] I {did} {past}", "[because|since|as] we [have|had|are having] {a_events}", "because it is {very_weather}", "because {who} [asked me|told me to|wants it|insists|is curious|can't sleep]", "because of [the {thing_only}|{who}|the {events_only}|{topic}|the {weather} weather]", "because {who} [cannot|won't|does not] {do}",
    "so that {who} can {do}", "so that {they} can {do_alone}", "so [that |]I [can|don't have to|will not have to] {do}", "so [that |]we all know", "so [that |]nobody has to {do}", "in order to [surprise|help|impress|please|calm] {who}", "to [cheer up|impress|help|surprise|amuse] {who}", "for [work|school|fun|a friend|a bet|a quiz|later|my notes]",
    "before {who} {does_alone}", "before {they} {do_alone}", "before the {places_only} [closes|opens|is full]", "before the {events_only} [starts|ends]", "before I {do}", "before [it gets dark|it is too late|it rains|I forget|we leave|the bus comes|my battery dies|lunch]", "after what {who} did {past}",
    "while {who} is {doing_alone}", "while {they} are {doing_alone}", "while I [wait|am waiting] for {who}", "while the {foods_only} is in the oven", "while we are still {spot}",
    "as I promised {who}", "as [agreed|discussed|usual|always|promised]", "as {who} [said|wished|suggested|keeps saying]", "as if {who} were here", "like last time", "now that {who} is {state}", "now that the {events_only} is over", "now that {they} have {done}", "even though {who} {did}", "although I am {very_state}",
    "although {who} [did not|didn't] {do}", "even if {who} {does_alone}", "in case {who} {does_alone}", "in case the {thing_only} {thing_does}", "in case it {rains}", "whether or not {who} {does_alone}", "given that {who} {did}", "considering that {they} {did_alone}", "seeing that {who} is {state}", "provided {who} agrees",
    "if {who} [doesn't mind|agrees|is right|lets us]", "since {who} never {does}", "despite the {weather} weather", "in spite of the {abstract_only}", "thanks to {who}", "with {who} {doing_alone} {spot}", "rather than {do_alone}", "or {who} will {do_alone}", "or else {they} will {do_alone}", "and then {who} can {do_alone}", "or I will be in trouble with {who}",
)  # fmt: skip
_QUESTIONS = (
    # why, how
    "why does the {thing} {thing_do}[ {habit}|]?", "why do {thing_s_only} {thing_do}[ {habit}|]?", "why did {who} {do}[ {past}|]?", "why is {who} [so|always|still|never|not] {trait}?", "why are {they} {doing}[ {spot}|]?", "why has {who} {done}?", "why is there {a_thing} {spot}?", "why do {animals_s_only} {do_alone}?", "why [can't|won't|didn't] {who} {do}?", "why was the {events_only} so {judged}?",
    "how many {people_s_only} live {near}?", "how many {thing_s_only} are [there |]{spot}?", "how many {thing_s_only} did {who} {do_thing} {past}?", "how many {foods_s_only} can {a_animals} eat?", "how much {mass} is [there |]{spot}?", "how much did {who} pay for {the_thing}?", "how much does {a_thing} [cost|weigh]?", "how [long|far] is it to the {places_only} {near}?", "how long did the {events_only} take {past}?",
    "how old is {who}?", "how [tall|heavy|old|big] is {the_one}?", "how did {who} {do}?", "how {trait} is {who}?", "how often does {who} {do}?", "how come {who} {did}?", "how do I {do_thing} {the_thing}?", "how do you {do_paper}?", "how does {who} feel about {topic}?", "how was the {events_only} {past}?", "how can {they} {do}?", "how well does {who} {do_alone}?", "how [loud|fast|dangerous] is {a_animals}?",
    # who, whose, which, what
    "who {did} {past}?", "who {did} {spot}?", "who is {doing} {spot}?", "who will {do} {future}?", "who has {done}?", "who owns the {thing} {spot}?", "who told {who} about {topic}?", "who [built|owns|runs|cleans] the {places_only} {near}?", "who lives {near}?", "who is the {traitest} {people_only} {spot}?", "whose {thing} is that?", "whose {thing_only} did {who} {do_thing}?", "whose idea was the {events_only}?",
    "which {thing} did {who} {do_thing}?", "which of the {thing_s_only} {thing_did}?", "which {people_only} {did}?", "which {places_only} does {who} [like|hate|recommend|own]?", "which is {judgeder}, {a_thing} or {a_thing}?", "which day is {owner}'s {events_only}?", "what is {who} {doing_what}?", "what did {who} {do_thing} {past}?", "what colour is {owner}'s {thing_only}?", "what [is|was] in {owner}'s {thing_only}?",
    "what happened to {the_one}?", "what happened {spot} {past}?", "what [does|did] {who} think of {topic}?", "what kind of {thing_only} does {who} have?", "what makes {animals_s_only} so {trait}?", "what will {they} do {future}?", "what is {owner}'s {relation} called?", "what is [wrong|the matter] with {the_one}?", "what is the {abstract_only} of {topic}?", "what do {animals_s_only} [eat|dream of|think about|do at night]?", "what was the {abstract_only} {past}?", "what if {who} {does_alone}?",
    # where, when
    "where is {the_one}?", "where did {who} {do} {past}?", "where are {they} {doing_alone}?", "where can I [buy|find|repair|sell] {a_thing}?", "where do {animals_s_only} sleep {habit}?", "where does {who} keep the {thing_s_only}?", "where was {who} {past}?", "where does the {mass} come from?", "when will {who} {do}?", "when did {who} {do}?", "when is {owner}'s {events_only}?", "when does the {places_only} {near} [open|close]?", "when was the {thing} {done_thing}?", "since when {does_since} {who} {doing_since}?",
    # yes or no
    "is {who} [a good {people_only}|{a_trait} {people_only}|{very_trait}]?", "is {who} {doing}?", "is {the_one} {things_only}?", "is there [{a_places}|another {places_only}] {near}?", "is it {judged} to {do}?", "is it true that {who} {did}?", "is {who} [taller|older|younger|richer|funnier] than {who}?", "are {they} {state}?", "are there [any|more] {thing_s_only} {spot}?", "are {animals_s_only} [clever|dangerous|afraid of the dark|good swimmers]?",
    "did {who} {do} {past}?", "did {they} {do}?", "did the {thing} {thing_do}?", "does {who} {frequently} {do}?", "does {who} like {topic}?", "does the {places_only} sell {foods_s_only}?", "does it {rain} {spot}?", "do {they} {do} {habit}?", "do {animals_s_only} {do_alone}?", "has {who} [ever|already] {done}?", "have {they} {done}?", "can {who} {do}?", "can {a_animals} {do_alone}?", "could {who} {do} {future}?", "will {who} {do} {future}?", "will it be {weather} {future}?", "will the {thing_only} {thing_do}?",
    "should {who} {do}?", "was {who} {state} {past}?", "were {they} {doing} {past}?", "had {who} {done} before the {events_only}?", "would {who} {do}?", "must {who} {do}?", "{who} {did}, didn't they?", "{who} is {trait}, isn't [she|he]?", "[I wonder|do you know|any idea|can you say|do you remember] [why|when|where|how] {who} {did}?", "[do you know|any idea] who {did}?", "[any news|anything new] [from|about] {who}?", "[in|at] which {places_only} did {who} {do_alone}?",
    "with whom did {who} {do_alone} {past}?", "to whom did {who} give {the_thing}?", "for whom is {the_one}?", "about what did {they} [argue|laugh|talk] {past}?", "and {owner}, [where|how] [is she|is he|are they] now?", "if {who} {did_alone}, who {did}?", "[so|and|but] why [did|didn't] {they} {do}?", "{a_thing} or {a_thing}, what would {who} take?", "at what time [did|does|will] {who} {do_alone}?",
)  # fmt: skip
_TOPICS = (
    "{topic}", "{topic}", "{topic}", "{topic}", "{thing_s_only}", "{things_only} {thing_s_only}", "{things_only} {thing_s_only}", "{trait} {people_s_only}", "{judged} {events_s_only}", "{judged} {places_s_only}", "{animals_s_only}", "{animals_s_only} and {animals_s_only}", "{trait} {animals_s_only}", "{animals_s_only} in [winter|spring|cities|space|danger|history|art]",
    "{nature_s_only}", "{nature_s_only} and {nature_s_only}", "{idea}", "{idea} and {idea}", "{idea} at [work|school|home|night|sea]", "{mass}", "the [history|smell|price|colour|taste|future|end|sound|use] of {mass}", "the [history|art|science|future|meaning|price|beauty|end] of {idea}", "the history of {thing_s_only}", "my {relation}'s {thing_only}", "my {relation}", "{name}'s {thing_only}",
    "{name}'s {events_only}", "{people_s_only}", "{people_s_only} and {people_s_only}", "life as {a_people_only}", "the life of {animals_s_only}", "[life|silence|friendship|trouble] {near}", "{foods_s}", "{foods_s_only} and {foods_s_only}", "{foods_s_only} with {edible}", "[making|cooking with|the taste of] {foods_s_only}", "{doing_alone}", "{doing_alone} {habit}", "{doing_alone} and {doing_alone}", "the {places_only}",
    "{places_s_only}", "{places_s_only} of {city}", "{city} in {season}", "the {events_only}", "our {events_only} [in|last] {month}", "{weather} {weekday_s}", "{weather} weather", "{abstract_s_only}", "{judged} {abstract_s_only}", "{a_judged} {abstract_only}", "the {abstract_only} of {idea}", "[home|school|office|city|night|winter|sea|kitchen] {events_s_only}", "[winter|kitchen|toy|city|school|family|sea|garden] {thing_s_only}", "{a_thing}", "{thing_s_only} for [children|beginners|cats|travellers]", "the {judged} {abstract_only}", "{who_named}", "{body_s_only}", "healthy {body_s_only}",
)  # fmt: skip
_TEXTS = (
    # Reminders
    "{do_thing} {the_thing}", "{do_paper}", "{do_person}", "{do}", "buy [two|three|four|some|more|five] {foods_s_only}", "buy [two kilos of|a bag of|some more|a box of] {foods_s_only}", "[buy|get|fetch|bring] [some |more |]{mass}", "[call|ring|phone|text|email|thank|visit|pay] {who_named}", "[call|ring|meet|remind] the {people_only} {future}", "[pick up|collect|fetch|return] {the_thing}", "[book|cancel|plan|prepare|move] the {events_only}", "{events_only} {future}", "{events_only} with {who_named}", "{events_only} at the {places_only}", "{day}: {do_thing} {the_thing}", "don't forget the {thing_only}",
    "do not {do_thing} the {thing_only}", "{edible}, {thing_s_only}, {foods_s_only}", "{mass} and {mass}", "{number} {foods_s_only}, {number} {thing_s_only}", "take the {thing_only} to the {places_only}", "give {who_named} the {thing_only}", "water the [plants|flowers|tulips|lawn|orchid|cactus|roses|garden|poppies]", "feed the {animals_s_only}", "{thing_only} for {who_named}", "check the {thing_only} twice",
    # Messages
    "[running|I'm running] late, start without me", "[I'm|I am|we are|we're] {spot}", "the {thing} {thing_did}", "the {thing_only} is {things_only}", "the {thing_only} is {spot}", "{who} {did_alone}", "{who} is {state}", "[see you|back|home|ready|leaving|arriving] {future}", "[see you|meet me] at the {places_only} {future}", "[sorry|apologies], I {did_alone}", "I {did_thing} the {thing_only}", "[thanks|thank you] for the {thing_only}", "thanks for {doing_alone} with us", "happy birthday, {name}", "good luck with the {events_only}", "congratulations on the {events_only}",
    "get well soon, {name}", "[dinner|lunch|breakfast|tea|supper] is ready", "{they} are {doing_alone}", "we are out of {mass}", "I'm {very_state}", "on my way to the {places_only}", "the {places_only} is closed", "{name} says hello", "all {state} here", "no {mass} left", "the {events_only} was {judged}", "the {events_only} is {future}", "{who} will {do_alone} {future}", "can't {do_alone} {future}", "let's {do_alone} {future}", "it is {weather} here", "miss you, {name}", "is the {thing_only} {spot}?", "where is the {thing_only}?", "what {a_judged} {events_only}!", "did you {do_thing} the {thing_only}?",
    # Titles and subjects
    "{t:The {judged} {places_only}}", "{t:The {trait} {people_only}}", "{t:The {things_only} {thing_only}}", "{t:{nature_s_only} and {nature_s_only}}", "{t:{thing_s_only} of {city}}", "{t:{name} and the {animals_only}}", "{t:A {thing_only} for {name}}", "{t:How to {do_alone}}", "{t:My {relation}'s {thing_only}}", "{t:{weather} {weekday}}", "{t:The {people_only}'s {thing_only}}", "{t:{idea} and {idea}}", "{t:Notes on {topic}}", "{t:The {animals_only} of {city}}", "{t:{month} in {city}}", "{t:{number} {animals_s_only}}", "{t:Under the {nature_only}}", "{t:{doing_alone} {near}}",
    "{topic}", "{things_only} {thing_s_only}", "{judged} {abstract_only}", "about the {thing_only}", "question about the {events_only}", "your {papers_only}", "{papers_only} for {who_named}", "{events_only} on {day}", "re: {events_only}", "new {papers_only}", "{month} {papers_only}", "invitation to {a_events}", "{things_only} {thing_only} for sale", "{people_only} wanted", "problem with the {thing_only}", "last {events_only} before {month}", "minutes of the {events_only}", "{papers_only} by {name}", "{adjective_any}", "{thing_only}", "{idea}",
)  # fmt: skip
_OPENINGS = (
    "right[ then|],", "ok[ay|][ so| then|],", "[ok|okay|right|alright|good|great|fine|so|well|anyway|now][ {name}|],", "[morning|good morning|hello|hi|hey|evening|good evening|afternoon|hiya|hey there|hi there|hello there|hello again|greetings][!|.|,]", "[hm|hmm|uh|um|er|oh|ah|ahem],", "[quick|small|tiny|little|silly|simple] [thing|one|question|favour|request]:", "[one|a] [quick|small|short|simple] [thing|one|favour|request][:| -]", "[so|now|well] [then|here goes|here we go][,|:]",
    "[sorry|sorry to bother you|excuse me|pardon me|forgive me|apologies][,|, but]", "[by the way|before I forget|while I'm at it|while you're here|since you're here|as I said|in that case|if you can|if I may|when you can|if you don't mind|to be honest|just a thought|one more thing|last thing|first things first|next up|moving on|back to work|let's see|let me think|listen|look|you know what|guess what|tell you what],",
    "[please|kindly],", "[dear|my] [friend|assistant|helper|bot|model],", "[thanks|thank you|great|perfect|lovely|nice|cool|super|brilliant|wonderful|good][!|.]", "[yes|no|yeah|yep|nope|sure|of course|exactly],", "[I'm|I am] back[.|!]", "it's me[ again|][.|!|,]", "[long time no see|good to see you|nice to meet you|there you are|here I am again|me again][.|!]", "[a question|a wish|a request|greetings] from {who}:", "[another|the next|the last|an easy|a hard|a tricky] one[:|,]",
    "{comment},", "because of the {events_only}:", "[quickly|briefly|seriously|honestly]:", "this [one |]is for [later|fun|work|school|a friend|a quiz|my notes]:", "[this time|for now|for once|for a change],", "[task|job|to do|wish|request|next]:", "[I have a request|I've got one for you|here's one|here is the thing|listen to this|let's try this][:|.]", "[please help|help][.|!|:]", "[dear all|hi all|hi everyone|dear {name}|hi {name}],",
)  # fmt: skip
_CLOSINGS = (
    "if [that's|that is|it's|it is] [alright|all right|ok|okay|possible|no trouble|not too much|fine with you]", "if you [can|could|would|please|like|don't mind|wouldn't mind|have time|have a minute|get a chance|are able to]", "if I may ask", "if [at all |]possible", "[when|whenever|once] you [can|get a minute|have a moment|are ready|have time|get to it|feel like it|find a minute]", "no [rush|hurry|pressure|stress|need to hurry]", "there's no [rush|hurry]",
    "[thanks|thank you|cheers|ta|many thanks|thanks a lot|thanks a million|thanks so much|thank you very much|thanks in advance|much appreciated|thanks again]", "[please|pretty please|please and thank you|please do|kindly]", "[right|straight] away", "[right |]now", "as [soon|quickly|quick|fast] as [possible|you can]", "at once", "before the {events_only} [starts|ends]", "before I forget", "before {who} {does_alone}", "for me[ please|]",
    "[will|would|could|can] you", "okay", "ok", "alright", "[my friend|mate|buddy|pal|dear|friend]", "I'd [be grateful|appreciate it|love that]", "that would be [great|lovely|nice|kind|a help|super]", "it would [help|mean] a lot", "you'd be doing me a favour", "[this|one more] time", "once more", "again", "[asap|soon|quickly|briefly]", "in your own time", "take your time", "just [quickly|this once|for fun|for now|for me]", "for [now|fun|later|a friend|work|school]",
    "[I beg you|I'm counting on you|you're the best|you're a star|I owe you one|God bless|all the best|best wishes|see you]", "[and that's all|and that's it|nothing else|nothing more|that's all|that is all|that's it]", "[sorry|sorry for the trouble|sorry to ask|hope that's ok|hope that's fine|hope that makes sense]", "as [usual|always|before|agreed]", "while {who} is {doing_alone}", "and [then |]{who} can {do_alone}", "[I think|I guess|I suppose|you know]", "by the way", "[somehow|maybe|perhaps|then|too|after all|really|actually]",
)  # fmt: skip


def _all_slots() -> dict[str, Maker]:
    """The vocabulary's slots and those that only these patterns have."""
    made = slots()
    small = {
        "owner": "[my {relation}|our {our}|{name}|{name}|the {people_only}|my {neutral} {name}|the {trait} {people_only}]",
        "style": "[short|quick|honest|clear|friendly|polite]", "very_kind": "[very|so|really|quite] [helpful|kind|patient|clever|quick]", "lately": "[today|yesterday|last time|the other day]",
        "where": "[| today| {future}| on {day}s| at the moment]", "rains": "[rains|snows|freezes|gets late]",
        "rain": "[rain|snow|freeze|get cold|get dark early]", "a_people_only": "{a_people}", "frequently": "[often|always|usually|ever|sometimes|really|still]",
        "doing_sorry": "[the noise|the delay|yesterday|the long silence|my bad spelling|the mess]", "the_one": "[the {thing}|my {thing}|{owner}'s {thing_only}|the {places_only} {near}]",
        "season": "[winter|spring|summer|autumn|the rain|{month}]", "weekday": "{day}", "weekday_s": "{day}s", "who_named": "[my {relation}|{name}|the {people_only}|our {our}]",
        "traitest": "[tallest|oldest|youngest|kindest|laziest|bravest|funniest|best|worst]", "judgeder": "[better|worse|cheaper|older|heavier|more useful|more fun]",
        "doing_what": "[eating|reading|writing|looking for|afraid of|thinking of|hiding|selling]", "does_since": "has", "doing_since": "been {doing_alone}", "adjective_any": "{judged}",
    }  # fmt: skip
    for name, pattern in small.items():
        made[name] = compiled([pattern], made)
    return made


_SLOTS = _all_slots()
_TITLE = "{t:"
_TITLES = compiled([text.removeprefix(_TITLE).removesuffix("}") for text in _TEXTS if text.startswith(_TITLE)], _SLOTS)
_NOTES = compiled([text for text in _TEXTS if not text.startswith(_TITLE)], _SLOTS)
_sentence = compiled(_SENTENCES, _SLOTS)
_reason = compiled(_REASONS, _SLOTS)
_question = compiled(_QUESTIONS, _SLOTS)
_topic = compiled(_TOPICS, _SLOTS)
_opening = compiled(_OPENINGS, _SLOTS)
_closing = compiled(_CLOSINGS, _SLOTS)


def _within(rng: Random, maker: Maker, least: int, most: int) -> str:
    """Draws until the text has that many words."""
    while not least <= len((text := maker(rng)).split()) <= most:
        pass
    return text


def sentence(rng: Random) -> str:
    """A sentence of 3 to 16 words of context or chat, with its mark, which asks for nothing."""
    return capitalised(_within(rng, _sentence, 3, 16))


def reason(rng: Random) -> str:
    """A clause to hang on a request, without a comma or a mark: `because the tailor is late`."""
    return _within(rng, _reason, 2, 12)


def question_about(rng: Random) -> str:
    """A question with its mark that a small model cannot know the answer to."""
    return capitalised(_within(rng, _question, 3, 14))


def topic(rng: Random) -> str:
    """A noun phrase of one to four words."""
    return _within(rng, _topic, 1, 4)


def text(rng: Random) -> str:
    """One to eight words that could be a note, a message, a reminder, a title or a subject, without a full stop."""
    if rng.random() < 0.15:
        return _titled(_TITLES(rng))
    words = _within(rng, _NOTES, 1, 8)
    return capitalised(words) if rng.random() < 0.5 else words


def opening(rng: Random) -> str:
    """Short words before a request, in lower or upper case, with the mark that parts them from it."""
    words = _opening(rng)
    return capitalised(words) if rng.random() < 0.8 else words


def closing(rng: Random) -> str:
    """Short words behind a request, without the comma before them or a mark behind them."""
    return _closing(rng)


def _titled(words: str) -> str:
    small = ("of", "and", "the", "to", "for", "in", "on", "by", "a", "from", "with")
    first, *rest = words.split()
    return " ".join([capitalised(first), *(word if word in small else capitalised(word) for word in rest)])
