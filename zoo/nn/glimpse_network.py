"""What recurrent models of visual attention make of a glimpse: the glimpse network, and the core that remembers."""

from torch import Tensor, nn


class GlimpseNetwork(nn.Module):
    """f_g: what is seen and where it is seen, joined into g_t (Mnih et al. 2014, section 3.1 and figure 1).

    Args:
        inputs: numbers that the retina gives.
        what, where, out: units of the two first layers and of g_t.
        place: numbers that say where; 2 for (x, y).
    """

    def __init__(self, inputs: int, what: int = 128, where: int = 128, out: int = 256, place: int = 2):
        super().__init__()
        self.what = nn.Linear(inputs, what)  # W_1
        self.where = nn.Linear(place, where)  # W_2
        self.join_what = nn.Linear(what, out)  # W_3
        self.join_where = nn.Linear(where, out)  # W_4

    def forward(self, rho: Tensor, location: Tensor) -> Tensor:
        """rho: (..., inputs); location: (..., place). Returns g_t: (..., out)."""
        dtype = self.what.weight.dtype
        h_g = self.what(rho.to(dtype)).relu()
        h_l = self.where(location.to(dtype)).relu()
        return (self.join_what(h_g) + self.join_where(h_l)).relu()


class ReLUCore(nn.Module):
    """f_h for classification: h_t = ReLU(W_h h_{t-1} + W_g g_t + b).

    The papers do not say how W_h starts. It starts at the identity here (Le, Jaitly, Hinton 2015), so that at first
    h_T keeps what the early glimpses saw.
    """

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.state_sizes = (hidden,)
        self.recurrent = nn.Linear(hidden, hidden)
        nn.init.eye_(self.recurrent.weight)
        self.input = nn.Linear(inputs, hidden)

    def forward(self, g: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = state
        return ((self.recurrent(h) + self.input(g)).relu(),)
