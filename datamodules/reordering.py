"""A made-up task of copying and reordering, in which the next word can be found by its position alone."""

from collections.abc import Iterable

import torch

from datamodules.files import DataError, check_counts
from datamodules.headlines import Headlines
from datamodules.sampling import generator
from datamodules.summaries import Pair, Steps, line_steps

BEGIN, MIDDLE, END = "begin", "then", "end"


class Reordering(Headlines):
    """Sentences of two clauses of random words, whose titles are the clauses in the other order.

    ``begin a b c then d e f g end`` has the title ``d e f g then a b c``. The words of a sentence differ, and are drawn
    evenly, so that only the sentence tells the next word, and only by what follows the last one there. Batches are
    those of :class:`datamodules.headlines.Headlines`.

    Args:
        types: different words.
        shortest, longest: words of a clause.
        pairs: of training; validation and test have `held` each.
        batch_size, eval_batch_size, tokenizer, limit: as there.
        seed: of the pairs and of the shuffling.
    """

    def __init__(
        self,
        types: int = 40,
        shortest: int = 2,
        longest: int = 5,
        pairs: int = 16_000,
        held: int = 1000,
        tokenizer: str | None = None,
        batch_size: int = 128,
        eval_batch_size: int = 128,
        seed: int = 0,
        limit: int | None = None,
    ):
        how = {"batch_size": batch_size, "eval_batch_size": eval_batch_size, "seed": seed, "limit": limit}
        super().__init__(source_count=1, title_count=1, tokenizer=tokenizer, **how)
        check_counts(types=types, shortest=shortest, longest=longest, pairs=pairs, held=held)
        if not shortest <= longest <= types // 2:
            raise DataError(f"clauses of {shortest} to {longest} words cannot be made of {types} different ones")
        self.types, self.shortest, self.longest = types, shortest, longest
        self.sizes = {"train": pairs, "val": held, "test": held}

    def steps(self) -> Steps:
        return line_steps()

    def read(self, split: str) -> Iterable[Pair]:
        random = generator(self.seed, list(self.sizes).index(split), 7)
        for _ in range(self.sizes[split]):
            first, second = torch.randint(self.shortest, self.longest + 1, (2,), generator=random).tolist()
            drawn = torch.randperm(self.types, generator=random)[: first + second].tolist()
            words = [f"w{letters(number)}" for number in drawn]
            one, other = " ".join(words[:first]), " ".join(words[first:])
            yield Pair(f"{BEGIN} {one} {MIDDLE} {other} {END}", (f"{other} {MIDDLE} {one}",))


def letters(number: int) -> str:
    """A number without digits, which the data modules of headlines would make one sign."""
    return (number and letters(number // 26) + chr(97 + number % 26)) or ""
