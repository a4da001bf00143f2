"""Training Luong's stacks."""

from zoo.luong.network import StackedLSTM
from zoo.translator import LitTranslator


class LitStackedLSTM(LitTranslator):
    """Trains :class:`zoo.luong.StackedLSTM`; see :class:`zoo.translator.LitTranslator` for the other arguments."""

    network_class = StackedLSTM
