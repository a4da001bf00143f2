"""Training Show, Attend and Tell (sections 4 and 4.3), decoding, and what is measured."""

import json
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import OFTEN, ZooError, check_choice, check_flag, check_least, check_share, check_whole
from zoo.looking.attention import Attention
from zoo.models.show_attend_tell.captioning import scores
from zoo.models.show_attend_tell.encoder import VGG19, load_encoder
from zoo.models.show_attend_tell.network import DECODINGS, ShowAttendTell, Told, repeated
from zoo.models.show_attend_tell.pointing import inside, looks, measures
from zoo.models.show_attend_tell.sampling import CREDITS, samples_of
from zoo.nn.estimators import Estimator, effective_sample_size, importance_weights, log_mean_exp
from zoo.nn.hard import reinforce_loss
from zoo.nn.random import uniform
from zoo.text.decoding import beam_search, greedy
from zoo.text.search import BOS, PAD, Hypothesis, length_penalty
from zoo.training.metrics import Perplexity
from zoo.training.module import ZooModule

MEMORY = 0.9  # of the moving average b_k = 0.9 b_{k-1} + 0.1 log p(y | s_k, a) (section 4.1)


class LitShowAttendTell(ZooModule):
    """Maximum likelihood with the doubly stochastic penalty; of hard attention the estimator of equation 12.

    The loss of a caption is -log p(y | a), the sum over its words, plus penalty * sum_i (1 - sum_t alpha_ti)^2.

    Args:
        penalty: lambda of equation 14; of hard attention too.
        penalty_scaling: "caption" (the equation), "authors" (their code: the mean over places beside a sum over the
            batch) or "word" (a public version: the mean over places beside a mean over words).
        reward_weight: lambda_r of hard attention (1/10 in the authors' code).
        entropy_weight: lambda_e (0.002 there).
        hard_scaling: "caption" (the equation, whose reward is the log-likelihood of the caption) or "authors" (the
            reward is the mean over words, and both terms count as often as there are captions in the batch).
        expected: share of the updates in which hard attention takes the expectation.
        expected_of: what is drawn for that: each "image" (as the paper says), or the "batch" (the authors' code).
        estimator: the arguments of :class:`zoo.nn.estimators.Estimator`, whose samples and loss then take the place of
            the one sample of equation 12, of its moving baseline and of `hard_scaling`; `reward_weight` is then a share
            of the policy's gradient (not in the paper); None for the paper's estimator.
        credit: what the places of an estimator's sample are answered by: the "caption" or their own "word".
        beam: width in the test; validation is greedy.
        normalise, alpha: of the score of a hypothesis; see :func:`zoo.text.decoding.beam_search`.
        decode: what hard attention takes in decoding: "expectation", "argmax" or "sample". The test reports all.
        max_length: of a caption, in words with eos.
        encoder_weights: see :func:`zoo.models.show_attend_tell.encoder.load_encoder`; None where the encoder is null,
            or small with weights as they were drawn, a control.
        meteor: whether the test computes METEOR 1.5, which needs Java and takes a while.
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of :class:`zoo.models.show_attend_tell.ShowAttendTell`.
    """

    monitor, mode = "val/bleu", "max"

    def __init__(
        self,
        penalty: float = 1.0,
        penalty_scaling: str = "caption",
        reward_weight: float = 0.1,
        entropy_weight: float = 0.002,
        hard_scaling: str = "caption",
        expected: float = 0.5,
        expected_of: str = "image",
        estimator: dict | None = None,
        credit: str = "caption",
        beam: int = 5,
        normalise: str = "none",
        alpha: float = 1.0,
        decode: str = "expectation",
        max_length: int = 50,
        encoder_weights: str | None = None,
        meteor: bool = False,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network,
    ):
        check_choice(("caption", "authors", "word"), penalty_scaling=penalty_scaling)
        check_choice(("caption", "authors"), hard_scaling=hard_scaling)
        check_choice(("image", "batch"), expected_of=expected_of)
        check_choice(CREDITS, credit=credit)
        check_choice(DECODINGS, decode=decode)
        check_least(0, penalty=penalty, reward_weight=reward_weight, entropy_weight=entropy_weight, alpha=alpha)
        check_share(expected=expected)
        check_flag(meteor=meteor)
        check_whole(1, OFTEN, beam=beam, max_length=max_length)
        length_penalty(1, normalise, alpha)
        super().__init__(ShowAttendTell(**network), optimizer, schedule)
        self.save_hyperparameters()
        if encoder_weights is not None:
            load_encoder(self.network.encoder, encoder_weights)
        self.penalty, self.penalty_scaling, self.hard_scaling = penalty, penalty_scaling, hard_scaling
        self.reward_weight, self.entropy_weight = reward_weight, entropy_weight
        self.expected, self.expected_of, self.credit = expected, expected_of, credit
        if estimator is None and credit != "caption":
            raise ZooError(f"credit is {credit!r} and there is no estimator, whose places it would concern")
        if estimator is not None and hard_scaling != "caption":
            raise ZooError(f"hard_scaling is {hard_scaling!r} beside an estimator, which has no use for it")
        self.estimator = None if estimator is None else self._made(Estimator.of(estimator))
        if self.network.inference is not None:  # under DDP what learns must have a gradient
            self.network.inference.requires_grad_(self.estimator is not None and self.estimator.infers)
        self.beam, self.decode, self.max_length, self.meteor = beam, decode, max_length, meteor
        self.ranking = {"normalise": normalise, "alpha": alpha}
        self.register_buffer("baseline", torch.tensor(0.0))  # b_k
        self.register_buffer("updates", torch.tensor(0))
        self.perplexity = nn.ModuleDict({f"{stage}_": Perplexity() for stage in ("val", "test")})
        self.measures = nn.ModuleDict({f"{stage}_": nn.ModuleDict(measures()) for stage in ("val", "test")})
        self.written: dict[str, dict[int, list[int]]] = {}  # by way of decoding and position in the split: the words

    def _made(self, estimator: Estimator) -> Estimator:
        """The estimator, if the network has what it needs."""
        if not self.hard:
            kinds = f"estimator.kind is {estimator.kind} and attention is {self.network.attention}"
            raise ZooError(f"{kinds}; estimators are of hard attention, whose places are drawn")
        if estimator.infers and self.network.inference is None:
            raise ZooError("estimator.kind is wake_q and inference is false; wake_q draws from the inference network")
        if (estimator.temperature, estimator.entropy, estimator.coverage) != (1, 0, 0):
            raise ZooError(
                "estimator.temperature, entropy and coverage are of the wake-sleep room; "
                "captioning has entropy_weight and penalty of its own"
            )
        return estimator

    @property
    def hard(self) -> bool:
        return self.network.attention == "hard"

    def parameter_groups(self) -> list[dict]:
        return [{"params": [each for each in self.parameters() if each.requires_grad]}]

    def on_fit_start(self) -> None:
        if isinstance(self.network.encoder, VGG19) and self.hparams["encoder_weights"] is None:
            raise ZooError("VGG-19 has no weights; say which with model.encoder_weights")

    def tell(self, batch: dict[str, Tensor]) -> Told:
        """The network under teacher forcing; of hard attention with fresh samples."""
        caption = batch["caption"][:, :-1]
        if not (self.hard and self.training):
            return self.network(batch["image"], caption)
        noise = uniform(batch["key"], caption.shape[1], stream=2)
        return self.network(batch["image"], caption, noise, self.expects(batch["key"]))

    def expects(self, key: Tensor) -> Tensor:
        """Of which pictures hard attention takes the expectation: (batch,) bool."""
        drawn = uniform(key if self.expected_of == "image" else key[:1], 1, stream=1)[:, 0] < self.expected
        return drawn.expand(len(key))

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.estimator is not None:
            return self.estimated_loss(batch)
        told, label = self.tell(batch), batch["caption"][:, 1:]
        real = label != PAD  # (batch, T)
        nll = F.cross_entropy(told.logits.float().flatten(0, 1), label.flatten(), ignore_index=PAD, reduction="none")
        nll = nll.view(label.shape)
        terms = {"nll": nll.sum() / self.weight(batch)}
        terms["penalty"] = self.coverage(told, real)
        if self.hard:
            terms |= self.hard_terms(nll.detach(), told, real)
        return {"loss": sum(terms.values()), **terms}

    def estimated_loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The estimator's terms beside penalty and entropy, and their sum; and, without gradient, what is watched.

        Watched are the effective sample size `ess`, of what was drawn, and `nll`, the bound on -log p(y | a); with
        `credit` of words it is the sum of what each word alone would have, and no bound.
        """
        caption, label = batch["caption"][:, :-1], batch["caption"][:, 1:]
        samples, expect = self.estimator.samples, self.expects(batch["key"])
        noise = uniform(batch["key"], caption.shape[1], samples, stream=2).mT  # word by word: padding changes none
        following = label if self.estimator.infers else None
        told = self.network(batch["image"], caption, noise, expect, following)
        log_y, log_p, log_r = samples_of(told, label).credited(self.credit)
        share = self.reward_weight
        rows = len(log_y) / self.weight(batch)  # for a caption: the estimator gives means
        found = self.estimator.losses(log_y, share * log_p + (1 - share) * log_p.detach(), log_r)
        terms = {name: rows * term for name, term in found.items()}
        real = label != PAD
        terms["penalty"] = self.coverage(told, real)
        terms["entropy"] = -self.entropy_weight * self.entropy(told, real)
        with torch.no_grad():
            drawn = (~expect[:, None] & (real if self.credit == "word" else real[:, :1])).flatten().to(log_y.dtype)
            ess = effective_sample_size(importance_weights(log_y, log_p, log_r))
            watched = {
                "ess": (ess * drawn).sum() / drawn.sum().clamp(min=1),
                "nll": -rows * log_mean_exp(log_y + log_p - log_r).mean(),
            }
        return {"loss": sum(terms.values()), **terms, **watched}

    def coverage(self, told: Told, real: Tensor) -> Tensor:
        """The doubly stochastic penalty, a mean over captions; real is (batch, T), which words are no padding."""
        seen = told.alpha * repeated(real, len(told.alpha) // len(real))[..., None]
        coverage = seen.sum(1)  # (batch * M, L): sum_t alpha_ti
        return self.penalty * self.scale(real, coverage.shape[1]) * (1 - coverage).square().sum(1).mean()

    def entropy(self, told: Told, real: Tensor) -> Tensor:
        """Of the places that were drawn, summed over words, a mean over captions; shapes as in :meth:`coverage`."""
        entropy = -torch.xlogy(told.alpha, told.alpha).sum(-1)  # (batch * M, T)
        return (entropy * repeated(real, len(entropy) // len(real)) * (told.log_s != 0)).sum(1).mean()

    def weight(self, batch: dict[str, Tensor]) -> Tensor | float:
        """The number of captions, on the average of the processes."""
        return batch.get("captions", float(len(batch["caption"])))

    def scale(self, real: Tensor, places: int) -> Tensor | float:
        """What the penalty of a caption counts beside its log-likelihood, summed over words."""
        if self.penalty_scaling == "caption":
            return 1.0
        return (len(real) if self.penalty_scaling == "authors" else real.sum() / len(real)) / places

    def hard_terms(self, nll: Tensor, told: Told, real: Tensor) -> dict[str, Tensor]:
        """Equation 12 with its baseline: what teaches f_att by the samples, as two terms of a loss.

        Args:
            nll: (batch, T), -log p(y_t | s, a), a constant.
            told: of the network.
            real: (batch, T), which words are no padding.
        """
        words = real.sum(1)
        reward, count = -nll.sum(1), 1.0
        if self.hard_scaling == "authors":
            reward, count = reward / words, float(len(words))
        self.follow(reward)
        log_s = told.log_s * real
        policy = reinforce_loss(log_s, reward[:, None], self.baseline)
        return {
            "policy": count * self.reward_weight * policy,
            "entropy": -count * self.entropy_weight * self.entropy(told, real),
        }

    def follow(self, reward: Tensor) -> None:
        """Moves the baseline; the first reward starts it. All processes move it alike."""
        if not self.training:
            return
        mean = reward.mean()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(mean)
            mean = mean / torch.distributed.get_world_size()
        kept = torch.where(self.updates > 0, MEMORY, 0.0)
        self.baseline.copy_(kept * self.baseline + (1 - kept) * mean)
        self.updates += 1

    def search(self, image: Tensor, key: Tensor, beam: int, decode: str) -> list[Hypothesis]:
        """The best caption of each picture. It sees the pictures and nothing else."""
        noise = uniform(key, self.max_length, stream=3) if self.hard and decode == "sample" else None
        memory = self.network.encode(image, noise)
        step = partial(self.network.step, decode=decode)
        start = self.network.start(memory, beam)
        if beam == 1:
            found = greedy(step, start, memory, self.max_length, banned=(PAD, BOS))
        else:
            found = beam_search(step, start, memory, self.max_length, banned=(PAD, BOS), **self.ranking)
        return [hypotheses[0] for hypotheses in found]

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        image, key, caption = batch["image"], batch["key"], batch["caption"]
        perplexity = self.perplexity[f"{stage}_"]
        perplexity.update(self.tell(batch).logits, caption[:, 1:], PAD)
        others = [each for each in DECODINGS if each != self.decode and self.hard and stage == "test"]
        for decode in (self.decode, *others):
            found = self.search(image, key, 1 if stage == "val" else self.beam, decode)
            rows = zip(batch["index"].tolist(), found, strict=True)
            self.written.setdefault(decode, {}).update({i: hypothesis.tokens for i, hypothesis in rows})
            if decode == self.decode:
                self.measure(batch, found, stage)
        named = dict(self.measures[f"{stage}_"])
        if "boxes" not in batch:
            named = {name: named[name] for name in ("entropy", "change")}
        return {"perplexity": perplexity, **({} if self.network.attention == "mean" else named)}

    def measure(self, batch: dict[str, Tensor], found: list[Hypothesis], stage: str) -> None:
        """Where it looked at each word that it wrote."""
        if self.network.attention == "mean":
            return
        image, known = batch["image"], "boxes" in batch
        if known:
            masks = inside(batch["boxes"], *image.shape[2:], self.network.grid(image))
            names = [[[i for i in name if i != PAD] for name in row] for row in batch["names"].tolist()]
        every = [
            looks(each.tokens, each.weights, names[i] if known else [], masks[i] if known else None)
            for i, each in enumerate(found)
        ]
        for values, metric in zip(zip(*every, strict=True), self.measures[f"{stage}_"].values(), strict=True):
            metric.update(torch.cat(values))

    def on_validation_epoch_start(self) -> None:
        self.written = {}

    def on_test_epoch_start(self) -> None:
        self.written = {}

    def on_validation_epoch_end(self) -> None:
        if not self.trainer.sanity_checking:
            self._score("val")

    def on_test_epoch_end(self) -> None:
        self._score("test")

    def _gather(self) -> dict[str, dict[int, list[int]]]:
        """What all processes wrote."""
        if self.trainer.world_size == 1:
            return self.written
        every: list[dict] = [{}] * self.trainer.world_size
        torch.distributed.all_gather_object(every, self.written)
        return {decode: {i: line for part in every for i, line in part[decode].items()} for decode in every[0]}

    def _score(self, stage: str) -> None:
        written = self._gather()
        if not written:
            return
        data, values, lines = self.trainer.datamodule, {}, {}
        order = sorted(written[self.decode])
        references = data.right(stage, order)
        for decode, found in written.items():
            lines[decode] = data.detokenise([found[i] for i in order])
            main = decode == self.decode
            named = scores(lines[decode], references, whole=main and stage == "test", meteor=self.meteor)
            values |= {f"{stage}/{name}" if main else f"{stage}/{name}_{decode}": each for name, each in named.items()}
        if stage == "test" and self.trainer.is_global_zero:
            self._write(references, lines)
        self.log_dict(values, prog_bar=stage == "val", rank_zero_only=False)

    def _write(self, references: list[list[str]], lines: dict[str, list[str]]) -> None:
        """Leaves captions.jsonl in the run's folder."""
        folder = Path(self.trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        rows = zip(references, zip(*lines.values(), strict=True), strict=True)
        told = [json.dumps({"references": right, **dict(zip(lines, made, strict=True))}) for right, made in rows]
        (folder / "captions.jsonl").write_text("\n".join(told) + "\n")

    def titles(self, batch: dict[str, Tensor]) -> list[str]:
        """The captions that are written."""
        found = self.search(batch["image"], batch["key"], self.beam, self.decode)
        return self.trainer.datamodule.detokenise([each.tokens for each in found])

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """Where it looks while it writes a caption of its own."""
        image = batch["image"]
        found = self.search(image, batch["key"], self.beam, self.decode)
        words = self.trainer.datamodule.detokenise([[i] for each in found for i in each.tokens])
        longest = max(len(each.weights) for each in found)
        weights = torch.stack([F.pad(each.weights, (0, 0, 0, longest - len(each.weights))) for each in found])
        taken = iter(words)
        outputs = [[next(taken) for _ in each.tokens] + ["</s>"] * each.finished for each in found]
        shown = image if image.shape[1] == 3 else None
        return Attention(weights=weights[:, None], images=shown, grid=self.network.grid(image), outputs=outputs)
