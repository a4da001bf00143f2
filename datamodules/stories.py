"""Stories after the first three bAbI tasks (Weston et al. 2015), with the sentences that the answer follows from.

People move between places and carry things. Task 1 asks where somebody is (one sentence decides), task 2 where a thing
is (two), task 3 where a thing was before (three, or four if it changed hands). The stories are drawn here; they are not
the published files.
"""

import random
from typing import NamedTuple

from datamodules.files import check_counts
from datamodules.questions import PLACEHOLDER, Question

PEOPLE = ("daniel", "john", "mary", "sandra")
PLACES = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
THINGS = ("apple", "football", "milk")
MOVES = ("moved to", "went to", "journeyed to", "travelled to", "went back to")
TAKES, LEAVES = ("took", "got", "picked up", "grabbed"), ("dropped", "left", "put down", "discarded")
LENGTHS = {1: (2, 10), 2: (4, 14), 3: (8, 24)}  # sentences of a story


class Stay(NamedTuple):
    """That somebody or something is at a place, and the numbers of the sentences that say so."""

    place: str
    because: frozenset[int]


class World:
    """People and things, what is told of them, and what follows from it."""

    def __init__(self, draw: random.Random):
        self.draw = draw
        self.at: dict[str, Stay] = {}  # people whose place has been told
        self.hidden = {thing: draw.choice(PLACES) for thing in THINGS}  # where things lie, told or not
        self.holder: dict[str, str] = {}
        self.taken: dict[str, int] = {}  # the sentence by which a thing is with its holder
        self.stays: dict[str, list[Stay]] = {thing: [] for thing in THINGS}  # what is told of each thing
        self.sentences: list[str] = []

    def tell(self, things: bool) -> None:
        """One more sentence that is true."""
        number, who = len(self.sentences), self.draw.choice(PEOPLE)
        here = self.at[who].place if who in self.at else None
        held = [thing for thing in THINGS if self.holder.get(thing) == who]
        lying = [thing for thing in THINGS if thing not in self.holder and self.hidden[thing] == here]
        what = self.draw.choice(("move", "take", "leave")) if things else "move"
        if what == "take" and lying:
            thing = self.draw.choice(lying)
            self.holder[thing], self.taken[thing] = who, number
            self.stay(thing, self.at[who].because | {number})
            self.sentences.append(f"{who} {self.draw.choice(TAKES)} the {thing} .")
        elif what == "leave" and held:
            thing = self.draw.choice(held)
            del self.holder[thing]
            self.sentences.append(f"{who} {self.draw.choice(LEAVES)} the {thing} .")
        else:
            place = self.draw.choice([place for place in PLACES if place != here])
            self.at[who] = Stay(place, frozenset({number}))
            for thing in held:
                self.hidden[thing] = place
                self.stay(thing, {number, self.taken[thing]})
            self.sentences.append(f"{who} {self.draw.choice(MOVES)} the {place} .")

    def stay(self, thing: str, because: set[int] | frozenset[int]) -> None:
        """A thing is where it is hidden, if that is news."""
        if not self.stays[thing] or self.stays[thing][-1].place != self.hidden[thing]:
            self.stays[thing].append(Stay(self.hidden[thing], frozenset(because)))

    def ask(self, task: int) -> tuple[str, Stay] | None:
        """A question, and its answer with all sentences that it needs; None where nothing can be asked."""
        if task == 1:
            who = self.draw.choice(sorted(self.at))
            return f"{who} is in the {PLACEHOLDER}", self.at[who]
        least = task - 1
        known = [thing for thing in THINGS if len(self.stays[thing]) >= least]
        if not known:
            return None
        thing = self.draw.choice(known)
        last = self.stays[thing][-1]
        if task == 2:
            return f"the {thing} is in the {PLACEHOLDER}", last
        before = self.stays[thing][-2]
        asked = f"before the {last.place} the {thing} was in the {PLACEHOLDER}"
        return asked, Stay(before.place, before.because | last.because)


def story(task: int, draw: random.Random) -> Question | None:
    """A story and a question; None where the story leaves nothing to ask."""
    world = World(draw)
    for _ in range(draw.randint(*LENGTHS[task])):
        world.tell(things=task > 1)
    asked = world.ask(task)
    if asked is None:
        return None
    question, answer = asked
    split = [sentence.split() for sentence in world.sentences]
    document = [token for sentence in split for token in sentence]
    support = [number in answer.because for number, sentence in enumerate(split) for _ in sentence]
    candidates = list(dict.fromkeys(token for token in document if token in PLACES))
    return Question(document, question.split(), answer.place, candidates, {}, f"task {task}", support)


def stories(task: int, sizes: dict[str, int], seed: int = 0) -> dict[str, list[Question]]:
    """So many different questions for each split; none is in two splits.

    Args:
        task: 1, 2 or 3.
        sizes: how many, by split; the splits are drawn in this order.
        seed: of the draws.
    """
    check_counts(task=task, **sizes)
    draw, seen = random.Random(seed), set()
    found: dict[str, list[Question]] = {split: [] for split in sizes}
    for split, size in sizes.items():
        while len(found[split]) < size:
            asked = story(task, draw)
            if asked is not None and (key := (tuple(asked.document), tuple(asked.question))) not in seen:
                seen.add(key)
                found[split].append(asked)
    return found
