"""Training word vectors, and testing them: what a word costs, and parts of speech that are found with them."""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import UnknownName, check_choice, check_number, check_whole, suggest
from zoo.looking.attention import Attention
from zoo.models.attentive_cbow.baselines import METHODS
from zoo.models.attentive_cbow.induction import COVARIANCES, induce
from zoo.models.attentive_cbow.network import AttentiveCBOW, band
from zoo.models.attentive_cbow.output import hierarchical_softmax, negative_sampling
from zoo.training.metrics import MeanNats
from zoo.training.module import ZooModule

SHOWN = 8  # predicted words of a stretch that a picture shows


class PredictionNats(MeanNats):
    """Mean over predictions."""

    def update(self, nats: Tensor, counted: Tensor) -> None:
        """What each costs and whether it counts, of the same shape."""
        self.add(nats, counted)


class Induced(Metric):
    """V-measure in percent of induced parts of speech, the mean over random starts; see induction.py."""

    higher_is_better = True
    full_state_update = False

    def __init__(self, **how: Any):
        super().__init__()
        self.how, self.given = how, None

    def update(self, vectors: Tensor, sentences: Tensor, tags: Tensor) -> None:
        """All of the vectors and sentences; the last ones that are given count."""
        self.given = vectors, sentences, tags

    def compute(self) -> Tensor:
        found = induce(*self.given, **self.how)
        return torch.tensor(sum(found) / len(found))


class LitVectors(ZooModule):
    """Trains word vectors.

    Args:
        method: "attentive", which is CBOW with model.attend=none, or one of
            :data:`zoo.models.attentive_cbow.baselines.METHODS`.
        negatives: n, what the noise of a batch counts as, however many words of it there are.
        states: of the hidden Markov model that the test fits; from the data, whose tags are as many. 0: none is fitted.
        starts: random starts of it; the mean of their V-measures counts.
        iterations: of its expectation and maximisation.
        covariance: of its states, "diagonal" or "spherical".
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    monitor, mode = "val/nats", "min"

    def __init__(
        self,
        method: str = "attentive",
        negatives: float = 10.0,
        states: int = 0,
        starts: int = 5,
        iterations: int = 20,
        covariance: str = "diagonal",
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        known = {"attentive": AttentiveCBOW, **METHODS}
        if method not in known:
            raise UnknownName(f"there is no method {method!r}{suggest(method, known)}")
        check_number(0, negatives=negatives)
        check_whole(0, states=states)
        check_whole(1, starts=starts, iterations=iterations)
        check_choice(COVARIANCES, covariance=covariance)
        super().__init__(known[method](**network), optimizer, schedule)
        self.save_hyperparameters()
        self.negatives = negatives
        self.measures = nn.ModuleDict({f"{stage}_nats": PredictionNats() for stage in ("val", "test")})
        if states:
            how = {"states": states, "starts": starts, "iterations": iterations, "covariance": covariance}
            self.measures["v_measure"] = Induced(**how)

    def costs(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Nats of every prediction of a batch, and which of them count, both (batch, L, m)."""
        if "nodes" in batch:
            return hierarchical_softmax(self.network, batch)
        return negative_sampling(self.network, batch, self.negatives)

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The mean over the predictions."""
        nats, valid = self.costs(batch)
        return {"loss": (nats * valid).sum() / valid.sum().clamp(min=1)}

    def weight(self, batch: dict[str, Tensor]) -> Tensor:
        """How many predictions the batch holds."""
        here = batch["here"]
        return (here if self.hparams["method"] == "skipgram" else here.any(-1)).sum().float()

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        found = {"nats": self.measures[f"{stage}_nats"]}
        found["nats"].update(*self.costs(batch))
        if stage == "test" and "v_measure" in self.measures:
            found["v_measure"] = self.measures["v_measure"]
            device = batch["text"].device
            sentences, tags = (each.to(device) for each in self.trainer.datamodule.tagged_numbers("test"))
            found["v_measure"].update(self.network.W.weight.detach().float(), sentences, tags)
        return found

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """The weights of the words around the first words of each stretch; a word with none around it looks at itself.

        Its own place has no slot, so no weight of it is the network's.
        """
        if not isinstance(self.network, AttentiveCBOW):
            raise NotImplementedError("only CBOW weighs its context")
        b, words = self.network.window, self.trainer.datamodule.lexicon.words
        text, here = batch["text"][:, : SHOWN + 2 * b], batch["here"][:, :SHOWN]
        weights = band(self.network.weights(text, here))  # (batch, shown, shown + 2b)
        count = here.shape[1]
        alone = ~here.any(-1)[..., None] & (
            torch.arange(count + 2 * b, device=text.device) == b + torch.arange(count, device=text.device)[:, None]
        )
        inputs = [[words[number] for number in row] for row in text.tolist()]
        outputs = [row[b : b + count] for row in inputs]
        return Attention(weights=(weights + alone)[:, None], inputs=inputs, outputs=outputs)
