"""LitTranslator: training, decoding and scoring of every network that turns one sequence of tokens into another."""

import json
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import OFTEN, ZooError, check_flag, check_least, check_share, check_whole
from zoo.looking.attention import Attention
from zoo.nn.kernels import cross_entropy
from zoo.text import scoring
from zoo.text.decoding import beam_search, greedy
from zoo.text.search import BOS, PAD, UNK, Hypothesis, length_penalty
from zoo.text.unknown import looked_at
from zoo.training.metrics import Perplexity
from zoo.training.module import ZooModule


class Written(NamedTuple):
    """What was written for one sentence."""

    tokens: list[int]  # without bos and eos
    looked: list[int]  # for each unknown word among them, the place in the source that it is aligned with


class Lines(NamedTuple):
    """A split as text, an item for each sentence."""

    sources: list[str]
    references: list[str]
    hypotheses: list[str]
    replaced: list[str] | None  # hypotheses in which what the source has stands for unknown words; None if none has any
    known: list[bool]  # whether source and reference are free of unknown words


class LitTranslator(ZooModule):
    """Maximum likelihood with teacher forcing; BLEU of greedy output in validation and of beam search in the test.

    A subclass names its network, which has ``encode``, ``start``, ``step`` and ``forward`` as zoo.text.decoding wants
    them. What is no translation overrides :meth:`score` and names its monitor.

    Args:
        loss_per: "sentence" (the sum over tokens, averaged over sentences, as the recurrent papers have it, whose
            clipping depends on it) or "token".
        label_smoothing: epsilon, spread evenly over the vocabulary.
        beam: width in the test.
        normalise, alpha: of the score of a hypothesis; see :func:`zoo.text.decoding.beam_search`.
        ban_unknown: whether decoding may not write the unknown word.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    network_class: type[nn.Module]
    monitor, mode = "val/bleu", "max"

    def __init__(
        self,
        loss_per: str = "token",
        label_smoothing: float = 0.0,
        beam: int = 5,
        normalise: str = "none",
        alpha: float = 1.0,
        ban_unknown: bool = False,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        if loss_per not in ("token", "sentence"):
            raise ZooError(f"loss_per is {loss_per!r}, not 'token' or 'sentence'")
        check_share(label_smoothing=label_smoothing)
        check_flag(ban_unknown=ban_unknown)
        check_whole(1, OFTEN, beam=beam)  # here and not in the test, which comes after hours
        check_least(0, alpha=alpha)
        length_penalty(1, normalise, alpha)
        super().__init__(self.network_class(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.loss_per, self.label_smoothing = loss_per, label_smoothing
        self.beam, self.normalise, self.alpha, self.ban_unknown = beam, normalise, alpha, ban_unknown
        self.perplexity = nn.ModuleDict({f"{stage}_": Perplexity() for stage in ("val", "test")})
        self.written: list[tuple[Tensor, list[Written]]] = []  # index, and that, of every batch since the epoch began

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        target = batch["target"]
        logits, _ = self.network(batch["source"], batch["source"] != PAD, target[:, :-1])
        total = cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), PAD, self.label_smoothing)
        return {"loss": total / self.weight(batch)}

    def weight(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["tokens" if self.loss_per == "token" else "sentences"]

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        source, target = batch["source"], batch["target"]
        logits, _ = self.network(source, source != PAD, target[:, :-1])
        perplexity = self.perplexity[f"{stage}_"]
        perplexity.update(logits, target[:, 1:], PAD)
        found = self.search(source, 1 if stage == "val" else self.beam)
        words = ((source != PAD).sum(1) - 1).tolist()  # without eos
        self.written.append((batch["index"], [self._written(h, n) for h, n in zip(found, words, strict=True)]))
        return {"perplexity": perplexity}

    def _written(self, hypothesis: Hypothesis, words: int) -> Written:
        tokens, weights = hypothesis.tokens, hypothesis.weights
        if not words:  # an empty line has an empty translation
            return Written([], [])
        shift = self.network.alignment_shift
        if UNK not in tokens or weights is None or shift is None:
            return Written(tokens, [])
        places = looked_at(weights, len(tokens), words, shift)
        return Written(tokens, [place for token, place in zip(tokens, places, strict=True) if token == UNK])

    def longest(self, lengths: Tensor) -> Tensor:
        """How many symbols a translation may have, eos counted, for sources of so many: (batch,)."""
        return 2 * lengths + 10

    @property
    def layers(self) -> int:
        """Of how many layers the heads are that :meth:`look` gives."""
        return 1

    def look(self, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        """The weights under teacher forcing: (batch, T, S) or (batch, heads, T, S)."""
        return self.network(source, mask, target)[1]

    def translate(self, source: Tensor, beam: int) -> list[list[int]]:
        """The tokens of the best translation of each source (batch, S), without bos and eos."""
        return [found.tokens for found in self.search(source, beam)]

    def search(self, source: Tensor, beam: int) -> list[Hypothesis]:
        """The best translation of each source (batch, S)."""
        mask = source != PAD
        memory = self.network.encode(source, mask)
        search = {
            "max_length": self.longest(mask.sum(1)),
            "banned": (PAD, BOS, UNK) if self.ban_unknown else (PAD, BOS),
        }
        if beam == 1:
            found = greedy(self.network.step, self.network.start(memory, 1), memory, **search)
        else:
            found = beam_search(
                self.network.step,
                self.network.start(memory, beam),
                memory,
                normalise=self.normalise,
                alpha=self.alpha,
                **search,
            )
        return [hypotheses[0] for hypotheses in found]

    @property
    def scored(self) -> dict[str, Any]:
        """The arguments of :func:`zoo.text.scoring.bleu` that the data ask for."""
        how = dict(self.trainer.datamodule.scored)
        how["tokeniser"] = scoring.tokeniser(how.pop("language"), how["tokeniser"])
        return how

    def setup(self, stage: str) -> None:
        """Looks for the tokeniser of the score before the work begins."""
        if hasattr(self.trainer.datamodule, "scored"):
            self.scored  # noqa: B018

    def on_validation_epoch_start(self) -> None:
        self.written = []

    def on_test_epoch_start(self) -> None:
        self.written = []

    def on_validation_epoch_end(self) -> None:
        if not self.trainer.sanity_checking:
            self._score("val")

    def on_test_epoch_end(self) -> None:
        self._score("test")

    def _gather(self) -> dict[int, Written]:
        """By position in the split, of all processes."""
        mine = {i: written for index, batch in self.written for i, written in zip(index.tolist(), batch, strict=True)}
        if self.trainer.world_size == 1:
            return mine
        every: list[dict] = [{}] * self.trainer.world_size
        torch.distributed.all_gather_object(every, mine)
        return {i: tokens for part in every for i, tokens in part.items()}

    def _score(self, stage: str) -> None:
        written = self._gather()
        if not written:
            return
        lines = self._lines(stage, written)
        scores, more = self.score(stage, lines)
        if stage == "test" and self.trainer.is_global_zero:
            self._write(lines, scores, more)
        values = {f"{stage}/{name}": value for name, value in scores.items()}
        self.log_dict(values, prog_bar=stage == "val", rank_zero_only=False)

    def _lines(self, stage: str, written: dict[int, Written]) -> Lines:
        data, order = self.trainer.datamodule, sorted(written)
        tokens, looked = zip(*(written[i] for i in order), strict=True)
        return Lines(
            sources=data.sources(stage, order),
            references=data.references(stage, order),
            hypotheses=data.detokenise(tokens),
            replaced=data.replaced(stage, order, tokens, looked) if stage == "test" and any(looked) else None,
            known=data.known(stage, order),
        )

    def score(self, stage: str, lines: Lines) -> tuple[dict[str, float], dict[str, Any]]:
        """The scores by name, the first of which is printed after a test, and what else scores.json then says.

        That is the signature, with which a score must be quoted, and more.
        """
        how = self.scored
        score, signature = scoring.bleu(lines.hypotheses, lines.references, **how)
        if stage == "val":
            return {"bleu": score}, {}
        more: dict[str, Any] = {"signature": signature}
        lengths = scoring.bleu_by_length(lines.hypotheses, lines.references, lines.sources, **how)
        more["bleu by source length"] = {k: {"bleu": score, "sentences": n} for k, (score, n) in lengths.items()}
        if lines.replaced:
            more["bleu after replacing unknown words"] = scoring.bleu(lines.replaced, lines.references, **how)[0]
        if any(lines.known) and not all(lines.known):
            hypotheses, references = (
                list(compress(side, lines.known)) for side in (lines.hypotheses, lines.references)
            )
            of_known = {"bleu": scoring.bleu(hypotheses, references, **how)[0], "sentences": len(references)}
            more["bleu of sentences without unknown words"] = of_known
        return {"bleu": score, "chrf": scoring.chrf(lines.hypotheses, lines.references, how["lowercase"])}, more

    def _write(self, lines: Lines, scores: dict[str, float], more: dict[str, Any]) -> None:
        """Leaves translations.jsonl and scores.json in the run's folder."""
        folder = Path(self.trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        columns = {"source": lines.sources, "reference": lines.references, "hypothesis": lines.hypotheses}
        if lines.replaced:
            columns["replaced"] = lines.replaced
        rows = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
        (folder / "translations.jsonl").write_text("\n".join(rows) + "\n")
        (folder / "scores.json").write_text(json.dumps({**scores, "beam": self.beam, **more}, indent=2) + "\n")
        name, value = next(iter(scores.items()))
        print(f"{name.upper()} {value:.2f} {more['signature']}")

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The alignment under teacher forcing: outputs are the words of the target, eos included."""
        source, target = batch["source"], batch["target"]
        weights = self.look(source, source != PAD, target[:, :-1])
        data = self.trainer.datamodule
        return Attention(
            weights=weights[:, None] if weights.ndim == 3 else weights,
            inputs=data.pieces(source, "source"),
            outputs=data.pieces(target[:, 1:], "target"),
            layers=self.layers,
        )
