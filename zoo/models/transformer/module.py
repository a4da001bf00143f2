"""Training the Transformer."""

from typing import Any

from torch import Tensor

from zoo.errors import check_whole
from zoo.models.transformer.network import Transformer
from zoo.text import bracketing
from zoo.text.translator import Lines, LitTranslator


class LitTransformer(LitTranslator):
    """Trains :class:`zoo.models.transformer.Transformer`.

    For the other arguments see :class:`zoo.text.translator.LitTranslator`.

    Args:
        label_smoothing, beam, normalise, alpha: as published (sections 5.4 and 6.1).
        extra: a translation has at most so many symbols more than its source (section 6.1: 50).
    """

    network_class = Transformer

    def __init__(
        self,
        label_smoothing: float = 0.1,
        beam: int = 4,
        normalise: str = "gnmt",
        alpha: float = 0.6,
        extra: int = 50,
        **others: Any,
    ):
        super().__init__(label_smoothing=label_smoothing, beam=beam, normalise=normalise, alpha=alpha, **others)
        check_whole(0, extra=extra)
        self.extra = extra

    def longest(self, lengths: Tensor) -> Tensor:
        return self.network.at_most(lengths + self.extra)

    @property
    def layers(self) -> int:
        return len(self.network.decoder)

    def look(self, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        return self.network(source, mask, target, need_weights=True)[1]


class LitParser(LitTransformer):
    """Trains a Transformer to write the tree of a sentence; measures F1 instead of BLEU.

    Its datamodule gives the trees as lines of symbols; see :mod:`zoo.text.bracketing`.

    Args:
        beam, alpha, extra: as published (section 6.3).
        ban_unknown: no tree has an unknown symbol.
        others: see :class:`LitTransformer`.
    """

    monitor = "val/f1"

    def __init__(self, beam: int = 21, alpha: float = 0.3, extra: int = 300, ban_unknown: bool = True, **others: Any):
        super().__init__(beam=beam, alpha=alpha, extra=extra, ban_unknown=ban_unknown, **others)

    def score(self, stage: str, lines: Lines) -> tuple[dict[str, float], dict[str, Any]]:
        return bracketing.score(lines.hypotheses, lines.references)._asdict(), {"signature": bracketing.SIGNATURE}
