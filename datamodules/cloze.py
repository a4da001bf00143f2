"""Cloze questions in ids, with a fresh permutation of the markers of entities for every question and epoch."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from datamodules.buckets import Buckets, Share
from datamodules.debian_cloze import debian_questions
from datamodules.files import DataError, check_counts, check_flags
from datamodules.questions import PLACEHOLDER, Fault, Question, check, entities, read_questions
from datamodules.sentences import Bucketed, ByLength, Sentences, Side
from datamodules.stories import stories
from datamodules.tokens import PAD, SPECIALS, UNK, read_tokenizer

TOKENS, NAMES = "text.json", "names.txt"  # what travels with the weights
SEPARATOR = "|||"  # between question and document, where they are read as one
FIRST = len(SPECIALS) + 2  # of the markers, which come after the placeholder and the separator
STAGES = ("train", "val", "test")
CORPORA = ("debian", "files", "stories")
HELD_OUT = {"test": 1000, "val": 1000}  # stories of a task


def permutation(seed: int, stage: int, epoch: int, index: int, markers: int) -> np.ndarray:
    """An order of all markers, (markers,) int64: a function of these numbers and of nothing else."""
    bits = np.random.Philox(key=[seed, (stage << 32) | epoch], counter=[0, 0, 0, index])
    return np.random.Generator(bits).permutation(markers)


@cache
def _stories(task: int, train: int) -> dict[str, list[Question]]:
    return stories(task, {**HELD_OUT, "train": train})


class Split(Bucketed):
    """Questions in ids, in which entity j of a question is -1 - j. An item, of (epoch, Share), is a batch.

    Args:
        ids: of words.
        markers: entities that a question may have.
        stage: the number of the split.
        seed: of the permutations; None: entity j always is marker j.
        repeats: how often an evaluation reads each question, with other permutations.

    Raises:
        DataError: more entities than markers; one sentence with the source of the question.
    """

    def __init__(
        self, asked: Iterable[Question], ids: dict[str, int], markers: int, stage: int, seed: int | None, repeats: int
    ):
        self.document, self.question, self.candidates, self.support = Side(), Side(), Side(), Side()
        self.markers, self.stage, self.seed, self.repeats = markers, stage, seed, repeats
        answers: list[int] = []
        for each in asked:
            local = {entity: -1 - j for j, entity in enumerate(entities([*each.document, *each.question]))}
            if len(local) > markers:
                raise DataError(f"{each.source}: has {len(local)} entities, and there are {markers} markers")
            for side, words in ((self.document, each.document), (self.question, each.question)):
                side.append([local.get(word) or ids.get(word, UNK) for word in words])
            self.candidates.append([local.get(word) or ids[word] for word in each.candidates])
            answers.append(local.get(each.answer) or ids[each.answer])
            if each.support is not None:
                self.support.append([int(told) for told in each.support])
        self.answer = torch.tensor(answers, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.answer) * self.repeats

    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        return np.tile(self.question.length, self.repeats), np.tile(self.document.length, self.repeats)

    def __getitem__(self, item: tuple[int, Share]) -> dict[str, Tensor]:
        epoch, share = item
        again, index = share.index // len(self.answer), share.index % len(self.answer)
        rounds = again + epoch if self.repeats == 1 else again
        markers = torch.from_numpy(
            np.stack(
                [
                    np.arange(self.markers)
                    if self.seed is None
                    else permutation(self.seed, self.stage, turn, place, self.markers)
                    for turn, place in zip(rounds.tolist(), index.tolist(), strict=True)
                ]
            )
        )

        def marked(side: Side) -> Tensor:
            """The rows of a side, (batch, longest), entities as their markers."""
            rows = side.rows(index)
            return torch.where(rows < 0, FIRST + markers.gather(1, (-1 - rows).clamp(min=0)), rows)

        answer = self.answer[index, None]
        batch = {
            "document": marked(self.document),
            "question": marked(self.question),
            "candidates": marked(self.candidates),
            "answer": torch.where(answer < 0, FIRST + markers.gather(1, (-1 - answer).clamp(min=0)), answer)[:, 0],
            "index": index,
            "sentences": torch.tensor(share.sentences, dtype=torch.float32),
        }
        if len(self.support.start) > 1:
            told = [self.support[i].bool() for i in index.tolist()]
            batch["support"] = pad_sequence(told, batch_first=True)
        return batch


class EpochsOfBuckets(Buckets):
    """Batches for training, with the epoch."""

    def __iter__(self) -> Iterator[tuple[int, Share]]:
        for share in super().__iter__():
            yield self.epoch, share


class InOneEpoch(ByLength):
    """Batches for evaluation, which knows one epoch."""

    def __iter__(self) -> Iterator[tuple[int, Share]]:
        for share in super().__iter__():
            yield 0, share


class Cloze(Sentences):
    """Batches of documents, questions with one hole, and what fills it.

    A batch holds, all int64 and padded with 0 at the end: `document` (batch, T) and `question` (batch, L); `candidates`
    (batch, C), ids of what may be the answer; `answer` (batch,), an id; `index` (batch,), positions in the split;
    `sentences`, how many questions the batches of all processes hold together, divided by the number of processes; and
    for stories `support` (batch, T) bool, the tokens of the document that the answer follows from.

    Entities are markers, which are drawn without repetition from all markers for every question and epoch, as a
    function of (seed, epoch, index); evaluation draws too, the same in every epoch.

    Args:
        corpus: "debian", which ships with the zoo; "files", a folder of `.question` files as CNN and Daily Mail have
            them, `root`; "stories", drawn as the first three tasks of bAbI are.
        root: of "files"; of "debian" a folder that scripts/build_debian.py has written, or None.
        task: of "stories": 1, 2 or 3.
        stories: of training, of the task; the thousand of validation and of test are the same for any number.
        max_tokens: documents with more are left out.
        markers: at least as many as any question has entities; of "debian", questions with more are left out.
        vocabulary: the most frequent words of the training questions, beside markers and special symbols.
        permute: False: entities are numbered by their first occurrence, always the same.
        permutations: of each test question; the metrics are means over all.
        drop: whether files of questions that cannot be asked are left out, and a warning counts them; else the first
            ends the run.
        tokenizer: a folder with text.json, as released weights have it; then no vocabulary is made.
        batch_size, eval_batch_size: questions of a batch for each process.
        seed: of batches and permutations.
        limit: only the first so many questions of each split.
    """

    def __init__(
        self,
        corpus: str = "debian",
        root: str | None = None,
        task: int = 1,
        stories: int = 10_000,
        max_tokens: int = 2000,
        markers: int = 600,
        vocabulary: int = 50_000,
        permute: bool = True,
        permutations: int = 5,
        drop: bool = False,
        tokenizer: str | None = None,
        batch_size: int = 32,
        eval_batch_size: int = 64,
        seed: int = 0,
        limit: int | None = None,
    ):
        super().__init__()
        check_counts(max_tokens=max_tokens, markers=markers, permutations=permutations, vocabulary=vocabulary)
        check_counts(stories=stories)
        check_counts(batch_size=batch_size, eval_batch_size=eval_batch_size, limit=limit)
        check_counts(0, seed=seed)
        check_flags(permute=permute, drop=drop)
        if corpus not in CORPORA:
            raise DataError(f"corpus is {corpus!r}, not one of {', '.join(CORPORA)}")
        if corpus == "files" and root is None:
            raise DataError("corpus=files needs root, the folder that holds training, validation and test")
        if task not in (1, 2, 3):
            raise DataError(f"task is {task!r}; expected 1, 2 or 3")
        self.corpus, self.root, self.task, self.stories, self.folder = corpus, root, task, stories, tokenizer
        self.max_tokens, self.markers, self.vocabulary = max_tokens, markers, vocabulary
        self.permute, self.permutations, self.drop = permute, permutations, drop
        self.batch_size, self.eval_batch_size, self.seed, self.limit = batch_size, eval_batch_size, seed, limit
        self._splits: dict[str, Split] = {}
        self._tokenizer: Tokenizer | None = None

    @property
    def spec(self) -> dict[str, int]:
        """What only the data know: the number of ids."""
        return {"vocabulary": self.tokenizer.get_vocab_size()}

    def questions(self, split: str) -> Iterator[Question]:
        """The questions of a split, as text."""
        if self.corpus == "debian":
            found: Iterable = debian_questions(self.root, self.max_tokens, self.markers).questions[split]
        elif self.corpus == "stories":
            found = _stories(self.task, self.stories)[split]
        else:
            found = read_questions(self.root, split)
        faults, count = [], 0
        for each in found:
            if isinstance(each, Fault):
                if not self.drop:
                    raise each
                faults.append(each)
            elif len(each.document) <= self.max_tokens:
                count += 1
                yield check(each)
            if count == self.limit:
                break
        if faults:
            warnings.warn(
                f"{len(faults)} files of the {split} split are left out; the first: {faults[0]}", stacklevel=2
            )
        if not count:
            raise DataError(
                f"{self.root or self.corpus}: no question of the {split} split has at most {self.max_tokens} tokens"
            )

    @property
    def tokenizer(self) -> Tokenizer:
        """Read from the folder `tokenizer`, or made of the training questions."""
        if self._tokenizer is None:
            if self.folder:
                self._tokenizer = read_tokenizer(Path(self.folder) / TOKENS)
                last, beyond = (self._tokenizer.token_to_id(f"@marker{self.markers - i}") for i in (1, 0))
                if last != FIRST + self.markers - 1 or beyond is not None:
                    raise DataError(f"{self.folder}/{TOKENS}: does not have {self.markers} markers (data.markers)")
            else:
                self._tokenizer = self._make_tokenizer()
        return self._tokenizer

    def _make_tokenizer(self) -> Tokenizer:
        words = Counter()
        for asked in self.questions("train"):
            words.update(word for word in asked.document + asked.question if word not in asked.names)
        del words[PLACEHOLDER]
        special = [*SPECIALS, PLACEHOLDER, SEPARATOR, *(f"@marker{i}" for i in range(self.markers))]
        kept = [word for word, _ in words.most_common() if word not in set(special)][: self.vocabulary]
        ids = {word: i for i, word in enumerate([*special, *kept])}
        made = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
        made.add_special_tokens(SPECIALS)
        return made

    def split(self, split: str) -> Split:
        """A split in ids, made when it is asked for."""
        if split not in self._splits:
            ids = self.tokenizer.get_vocab(with_added_tokens=True)
            self._splits[split] = Split(
                self.questions(split),
                ids,
                self.markers,
                STAGES.index(split),
                self.seed if self.permute else None,
                self.permutations if split == "test" else 1,
            )
        return self._splits[split]

    def pieces(self, ids: Tensor) -> list[list[str]]:
        """The tokens of each row of ids (batch, length), without padding."""
        name = self.tokenizer.id_to_token
        return [[name(i) for i in row if i != PAD] for row in ids.tolist()]

    def save(self, folder: Path) -> None:
        """Writes what must travel with the weights: the vocabulary, and for Debian what is known to be a name."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / TOKENS))
        if self.corpus == "debian":
            names = debian_questions(self.root, self.max_tokens, self.markers).names
            (folder / NAMES).write_text("".join(f"{name}\n" for name in names))

    def state_dict(self) -> dict[str, str]:
        return {"text": self.tokenizer.to_str()}

    def load_state_dict(self, state: dict[str, str]) -> None:
        if state != self.state_dict():
            raise DataError("the vocabulary is not that of the checkpoint; the questions have changed")

    def train_dataloader(self) -> DataLoader:
        split, (rank, world) = self.split("train"), self._processes()
        trainer = self.trainer
        batches = EpochsOfBuckets(
            *split.lengths(),
            batch_size=self.batch_size,
            seed=self.seed,
            rank=rank,
            world=world,
            skip=lambda: trainer.fit_loop.epoch_loop.batch_progress.current.ready if trainer else 0,
            overfit=trainer is not None and trainer.overfit_batches > 0,
        )
        return self._loader(split, batches)

    def _eval_dataloader(self, name: str) -> DataLoader:
        split = self.split(name)
        _, length = split.lengths()
        batches = InOneEpoch(length, length, self.eval_batch_size, *self._processes())
        return self._loader(split, batches)
