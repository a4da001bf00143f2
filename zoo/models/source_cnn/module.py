"""Training the joint model: the likelihood of the next word, its perplexity, and where the gates look."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import ZooError, check_least
from zoo.looking.attention import Attention
from zoo.models.source_cnn.network import SourceCNN
from zoo.nn.kernels import cross_entropy
from zoo.text.search import PAD
from zoo.training.metrics import Nats, Perplexity
from zoo.training.module import ZooModule
from zoo.training.reading import read_checkpoint


class Mass(Nats):
    """The mean share of the gates' weight on linked source words, in percent."""

    higher_is_better = True

    def compute(self) -> Tensor:
        return 100 * super().compute()


class LitSourceCNN(ZooModule):
    """Trains :class:`zoo.models.source_cnn.SourceCNN` by the likelihood of each target word.

    Args:
        self_normalisation: alpha of alpha (log Z)^2 beside the loss of a word, by which a decoder may leave the sum Z
            over the vocabulary out (Devlin et al. 2014, section 4; they have 0.1).
        optimizer, schedule: see :class:`zoo.training.module.ZooModule`.
        network: the arguments of the network.
    """

    monitor, mode = "val/perplexity", "min"

    def __init__(
        self,
        self_normalisation: float = 0.0,
        optimizer: dict | None = None,
        schedule: dict | None = None,
        **network: Any,
    ):
        check_least(0, self_normalisation=self_normalisation)
        super().__init__(SourceCNN(**network), optimizer, schedule)
        self.save_hyperparameters()
        self.self_normalisation = self_normalisation
        self.perplexity = nn.ModuleDict({f"{stage}_": Perplexity() for stage in ("val", "test")})
        self.mass = nn.ModuleDict({f"{stage}_": Mass() for stage in ("val", "test")})

    @classmethod
    def of_run(cls, run: Path) -> tuple["LitSourceCNN", dict[str, Any]]:
        """The best model of a finished run's folder, and the config of its data.

        Raises:
            CheckpointError, ZooError: one sentence.
        """
        stored = read_checkpoint(run / "checkpoints/best.ckpt")
        model = cls(**stored["hyper_parameters"]).eval()
        try:
            model.load_state_dict(stored["state_dict"])
            config = OmegaConf.to_container(OmegaConf.load(run / ".hydra/config.yaml").data, resolve=True)
        except (RuntimeError, OSError, ValueError, AttributeError, OmegaConfBaseException) as error:
            reason = " ".join(str(error).split())
            raise ZooError(f"{run}: not the folder of a finished run of source_cnn ({reason})") from None
        return model, config

    def read(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits and gates under teacher forcing; see :meth:`zoo.models.source_cnn.SourceCNN.forward`."""
        source, target = batch["source"], batch["target"]
        return self.network(source, source != PAD, target[:, :-1], *(batch.get(k) for k in ("tags", "center", "head")))

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logits, _ = self.read(batch)
        labels = batch["target"][:, 1:]
        total = cross_entropy(logits.flatten(0, 1), labels.flatten(), PAD)
        if not self.self_normalisation:
            return {"loss": total / self.weight(batch)}
        log_z = logits.float().logsumexp(-1)[labels != PAD]
        penalty = log_z.square().sum() / self.weight(batch)
        likelihood = total / self.weight(batch)
        return {"loss": likelihood + self.self_normalisation * penalty, "nats": likelihood, "log_z_squared": penalty}

    def weight(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["tokens"]

    def evaluate(self, batch: dict[str, Tensor], stage: str) -> dict[str, Metric]:
        logits, weights = self.read(batch)
        perplexity = self.perplexity[f"{stage}_"]
        perplexity.update(logits, batch["target"][:, 1:], PAD)
        found: dict[str, Metric] = {"perplexity": perplexity}
        if weights is not None:
            mass = self.mass[f"{stage}_"]
            mass.update(self.linked(weights, batch))
            found["mass"] = mass
        return found

    @staticmethod
    def linked(weights: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """The gates' share on the source words that a target word is linked with, for every word that has links.

        The end symbol does not count. Of several gates it is the mean.

        Args:
            weights: (batch, gates, T, S).
        """
        links, labels = batch["links"], batch["target"][:, 1:]
        last = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], PAD)], 1) == PAD  # eos, and padding
        counted = links.any(-1) & ~last & (labels != PAD)
        return (weights.float().mean(1) * links).sum(-1)[counted]

    def record(self, batch: dict[str, Tensor]) -> Attention:
        """Where the gates look for each target word, the end symbol included."""
        _, weights = self.read(batch)
        if weights is None:
            raise NotImplementedError("a network without a global gate does not say where it looks")
        data = self.trainer.datamodule
        inputs, outputs = data.pieces(batch["source"], "source"), data.pieces(batch["target"][:, 1:], "target")
        return Attention(weights=weights, inputs=inputs, outputs=outputs)
