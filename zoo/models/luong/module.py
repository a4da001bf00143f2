"""Training Luong's stacks."""

from zoo.models.luong.network import StackedLSTM
from zoo.text.translator import LitTranslator


class LitStackedLSTM(LitTranslator):
    """Trains :class:`zoo.models.luong.StackedLSTM`.

    For the other arguments see :class:`zoo.text.translator.LitTranslator`.
    """

    network_class = StackedLSTM
