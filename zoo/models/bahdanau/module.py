"""Training RNNsearch and the baseline without attention."""

from zoo.models.bahdanau.network import RNNsearch
from zoo.text.translator import LitTranslator


class LitRNNsearch(LitTranslator):
    """Trains :class:`zoo.models.bahdanau.RNNsearch`.

    For the other arguments see :class:`zoo.text.translator.LitTranslator`.
    """

    network_class = RNNsearch
