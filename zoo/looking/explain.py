"""How far attention explains an answer: what else says which words counted, and how the two compare.

What says which words counted, besides attention: gradients, integrated gradients (Sundararajan et al. 2017), and
leaving a word out. How attention is held against it: Kendall's tau, permutation and adversarial weights (Jain and
Wallace 2019), removal until the answer changes (Serrano and Smith 2019), comprehensiveness and sufficiency (DeYoung et
al. 2020). Nothing here knows a model: each function asks for one of these.

* ``score(x)``: vectors of the words (batch, T, d) -> (batch,), a number such as the probability of the answer;
* ``read(keep)``: which words stay, (batch, T) bool -> probabilities (batch, classes) of the shortened texts;
* ``answer(weights)``: attention (batch, T) -> probabilities (batch, classes), all else as it was.

Masks (batch, T) are True where a word is.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from zoo.errors import check_least, check_number, check_whole

Function = Callable[[Tensor], Tensor]


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """Half the sum of absolute differences of two distributions over the last axis, in [0, 1]."""
    return (p - q).abs().sum(-1) / 2


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """KL(p | m) / 2 + KL(q | m) / 2 with m their mean, over the last axis, in nats: at most log 2."""
    m = (p + q) / 2

    def divergence(a: Tensor) -> Tensor:
        ratio = torch.where(a > 0, a / torch.where(m > 0, m, 1), 1)  # of what is zero the logarithm is not asked for
        return (a * ratio.log()).sum(-1)

    return (divergence(p) + divergence(q)) / 2


def kendall(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Kendall's tau-b of two rankings of each row's words, which counts ties: (batch, T) twice -> (batch,).

    NaN where a ranking is of fewer than two words, or has them all alike.
    """
    both = (mask[:, :, None] & mask[:, None]).triu(1)

    def order(x: Tensor) -> Tensor:
        return (x[:, :, None] - x[:, None]).sign() * both

    one, other = order(a), order(b)
    size = (one.square().sum((1, 2)) * other.square().sum((1, 2))).sqrt()
    return (one * other).sum((1, 2)) / torch.where(size > 0, size, torch.nan)


def gradient(score: Function, x: Tensor) -> Tensor:
    """d score / d x: (batch, T, d)."""
    x = x.detach().requires_grad_()
    # cuDNN has no backward pass of a recurrent network in evaluation
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        (found,) = torch.autograd.grad(score(x).sum(), x)
    return found


def gradient_norm(score: Function, x: Tensor) -> Tensor:
    """|d score / d x_t| of each word: (batch, T)."""
    return gradient(score, x).norm(dim=-1)


def gradient_times_input(score: Function, x: Tensor) -> Tensor:
    """x_t . d score / d x_t of each word: (batch, T)."""
    return (gradient(score, x) * x).sum(-1).detach()


def integrated_gradients(score: Function, x: Tensor, start: Tensor | None = None, steps: int = 50) -> Tensor:
    """(x_t - x'_t) . mean of d score / d x_t on the line from x' to x, at the middles of `steps` parts: (batch, T).

    Their sum over words is score(x) - score(x') as `steps` grows (completeness).

    Args:
        start: x', of the shape of x; None is zero.
    """
    check_whole(1, steps=steps)
    start = torch.zeros_like(x) if start is None else start
    total = sum(gradient(score, start + (step + 0.5) / steps * (x - start)) for step in range(steps))
    return ((x - start) * total / steps).sum(-1).detach()


@torch.no_grad()
def leave_one_out(read: Function, mask: Tensor) -> Tensor:
    """Total variation between the answer and the answer without each word: (batch, T), zero for what is no word."""
    whole, found = read(mask), []
    for t in range(mask.shape[1]):
        keep = mask.clone()
        keep[:, t] = False
        found.append(total_variation(read(keep), whole) * mask[:, t])
    return torch.stack(found, 1)


@torch.no_grad()
def erasure(read: Function, mask: Tensor, importance: Tensor, shares: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Comprehensiveness and sufficiency, each the mean over shares of words (AOPC): (batch,) twice.

    Of the class that is answered: how much its probability falls without the most important words, and how much it
    falls if they alone are kept. A share is rounded up to whole words.
    """
    whole = read(mask)
    label = whole.argmax(-1, keepdim=True)
    rank = importance.masked_fill(~mask, -math.inf).argsort(-1, descending=True).argsort(-1)
    length = mask.sum(-1, keepdim=True)
    without, alone = [], []
    for share in shares:
        best = mask & (rank < (share * length).ceil())
        for kept, falls in ((mask & ~best, without), (best, alone)):
            falls.append((whole - read(kept)).gather(-1, label).squeeze(-1))
    return torch.stack(without).mean(0), torch.stack(alone).mean(0)


@torch.no_grad()
def removals(answer: Function, weights: Tensor, mask: Tensor, importance: Tensor) -> Tensor:
    """Share of the weights that are set to zero, the most important first, before another class is answered: (batch,).

    What is left is scaled to sum to one; 1 where the answer stays until a single word is left.
    """
    label = answer(weights).argmax(-1)
    order = importance.masked_fill(~mask, -math.inf).argsort(-1, descending=True)
    length, left = mask.sum(-1), weights.clone()
    needed = torch.ones_like(weights[:, 0])
    for k in range(1, mask.shape[1]):
        left = left.scatter(1, order[:, k - 1 : k], 0)
        whole = left.sum(-1, keepdim=True)
        other = answer(left / torch.where(whole > 0, whole, 1)).argmax(-1) != label
        new = other & (needed == 1) & (k < length) & (whole[:, 0] > 0)
        needed = torch.where(new, k / length, needed)
    return needed


@torch.no_grad()
def permutations(answer: Function, weights: Tensor, mask: Tensor, times: int = 100, seed: int = 0) -> Tensor:
    """Median over random orders of the weights of the total variation between the answers: (batch,)."""
    check_whole(1, times=times)
    whole, found = answer(weights), []
    generator = torch.Generator().manual_seed(seed)
    place = torch.arange(mask.shape[1], device=mask.device)
    for _ in range(times):
        key = torch.rand(mask.shape, generator=generator).to(mask.device)
        order = torch.where(mask, key, 2 + place).argsort(-1)  # padding stays where it is
        found.append(total_variation(answer(weights.gather(1, order)), whole))
    return torch.stack(found).median(0).values


def adversarial(
    answer: Function,
    weights: Tensor,
    mask: Tensor,
    epsilon: float = 0.01,
    count: int = 5,
    steps: int = 500,
    lr: float = 0.01,
    penalty: float = 500.0,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """The furthest weights that leave the answer as it is: Jensen-Shannon divergence and the weights.

    Several distributions are sought together, far from the model's and from each other, by steps of Adam on their
    logits; what leaves the bound costs `penalty` for each unit of total variation beyond it. The bound is not certain
    to hold at the end, so those that break it are left out.

    Args:
        epsilon: the bound on the total variation between the answers.
        count: distributions sought for each text.

    Returns:
        The largest divergence among those within the bound, (batch,), NaN where none is; and their weights (batch, T),
        the model's own where none is.
    """
    check_number(0, epsilon=epsilon, lr=lr)
    check_whole(1, count=count, steps=steps)
    check_least(0, penalty=penalty)
    weights = weights.detach()
    batch, length = weights.shape
    with torch.no_grad():
        whole = answer(weights)
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(count, batch, length, generator=generator)).to(weights.device).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=lr, amsgrad=True)
    floor = torch.finfo(logits.dtype).min

    def found() -> tuple[Tensor, Tensor, Tensor]:
        theirs = logits.masked_fill(~mask, floor).softmax(-1)  # (count, batch, T)
        gap = torch.stack([total_variation(answer(each), whole) for each in theirs])
        return theirs, jensen_shannon(theirs, weights), gap

    pairs = [(i, j) for i in range(count) for j in range(i)]
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for _ in range(steps):
            theirs, far, gap = found()
            apart = sum(jensen_shannon(theirs[i], theirs[j]) for i, j in pairs) / max(1, len(pairs))
            loss = -(far.sum(0) + apart) + penalty * (gap - epsilon).clamp(min=0).sum(0)
            (logits.grad,) = torch.autograd.grad(loss.sum(), logits)
            optimizer.step()
    with torch.no_grad():
        theirs, far, gap = found()
        far = far.masked_fill(gap > epsilon, -1)
        best, which = far.max(0)
        none = best < 0
        chosen = theirs[which, torch.arange(batch, device=which.device)]
        return best.masked_fill(none, torch.nan), torch.where(none[:, None], weights, chosen)
