"""Training RNNsearch and the baseline without attention."""

from zoo.bahdanau.network import RNNsearch
from zoo.translator import LitTranslator


class LitRNNsearch(LitTranslator):
    """Trains :class:`zoo.bahdanau.RNNsearch`; see :class:`zoo.translator.LitTranslator` for the other arguments."""

    network_class = RNNsearch
