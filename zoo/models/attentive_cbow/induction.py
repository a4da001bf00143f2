"""Parts of speech without a teacher: a hidden Markov model that emits word vectors (Lin, Ammar, Dyer, Levin 2015).

A sentence is a chain of K states; state k emits the vector of a word by a Gaussian N(mu_k, Sigma_k). It is fitted by
expectation and maximisation, and each word gets the state that is likeliest for it, given its sentence. A word without
a vector is one that was not observed: the chain goes on without it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import ZooError, check_choice, check_whole

COVARIANCES = ("diagonal", "spherical")
FLOOR = 1e-3  # of a variance, as a share of that of all words
UNKNOWN, PAD = -1, -2  # among the numbers of words


@dataclass
class GaussianHMM:
    """Its parameters, for K states and vectors of D numbers.

    Args:
        start: (K,) log-probabilities of the first state.
        moves: (K, K) log-probabilities of the next state, rows being the states before.
        means: (K, D).
        variances: (K, D).
    """

    start: Tensor
    moves: Tensor
    means: Tensor
    variances: Tensor

    def emissions(self, vectors: Tensor) -> Tensor:
        """log N(x; mu_k, Sigma_k), up to the same constant for all: (words, D) to (words, K)."""
        precision = 1 / self.variances
        square = vectors.square() @ precision.T - 2 * vectors @ (self.means * precision).T
        rest = (self.means.square() * precision).sum(1) + self.variances.log().sum(1)
        return -0.5 * (square + rest + vectors.shape[1] * math.log(2 * math.pi))

    def posteriors(self, vectors: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How probable each state is at each word, by the forward and backward recursions.

        Args:
            vectors: (words, D).
            sentences: (n, T) int64, numbers of words; UNKNOWN has no vector, PAD stands behind the end.

        Returns:
            gamma (n, T, K); the expected moves (K, K); and the log-likelihood of each sentence (n,).
        """
        # exp of the emissions, divided by the largest of each word, which comes back in the likelihood
        by_word = self.emissions(vectors)
        most = by_word.max(1).values
        density = torch.cat([(by_word - most[:, None]).exp(), by_word.new_ones(2, by_word.shape[1])])
        most = torch.cat([most, most.new_zeros(2)])  # rows -1 and -2 are PAD and UNKNOWN
        moves, inside = self.moves.exp(), sentences != PAD
        seen = density[sentences].transpose(0, 1).contiguous()  # (T, n, K)
        alphas, scales = [], []
        for t in range(sentences.shape[1]):
            before = self.start.exp().expand(len(sentences), -1) if t == 0 else alphas[-1] @ moves
            alpha = before * seen[t]
            scale = alpha.sum(1, keepdim=True)
            alphas.append(alpha / scale), scales.append(scale)
        beta = torch.ones_like(alphas[0])
        gammas, expected = [alphas[-1]], torch.zeros_like(moves)
        for t in range(sentences.shape[1] - 1, 0, -1):
            # behind the end beta stays one, so that the last word of a sentence looks at nothing after it
            ahead = seen[t] * beta / scales[t] * inside[:, t, None]
            expected += (alphas[t - 1].T @ ahead) * moves
            beta = torch.where(inside[:, t, None], ahead @ moves.T, 1.0)
            gammas.append(alphas[t - 1] * beta)
        gamma = torch.stack(gammas[::-1], 1)
        nats = (torch.cat(scales, 1).log() + most[sentences]) * inside
        return gamma * inside[..., None], expected, nats.sum(1)


def fit(
    vectors: Tensor,
    sentences: Tensor,
    states: int,
    iterations: int = 20,
    covariance: str = "diagonal",
    seed: int = 0,
) -> tuple[GaussianHMM, list[float]]:
    """A model fitted from a random start: means at random words of the text, one variance, moves nearly equal.

    Args:
        vectors, sentences: see :meth:`GaussianHMM.posteriors`.
        covariance: of a state, "diagonal" or "spherical".

    Returns:
        The model, and the mean log-likelihood of a sentence before each iteration.

    Raises:
        ZooError: fewer known words in the text than states.
    """
    check_whole(1, states=states, iterations=iterations)
    check_choice(COVARIANCES, covariance=covariance)
    random = torch.Generator().manual_seed(seed)
    known = sentences[sentences >= 0]
    kinds = known.unique()
    if len(kinds) < states:
        raise ZooError(f"the text has {len(kinds)} different words with vectors, and {states} states want as many")
    share = torch.bincount(known, minlength=len(vectors)).to(vectors.dtype)
    picked = torch.multinomial(share.cpu(), states, generator=random).to(vectors.device)
    spread = (vectors.square().T @ share / share.sum() - (vectors.T @ share / share.sum()).square()).clamp(min=1e-12)
    moves = torch.rand(states, states, generator=random).to(vectors) + 1
    model = GaussianHMM(
        vectors.new_full((states,), -math.log(states)),
        (moves / moves.sum(1, keepdim=True)).log(),
        vectors[picked],
        spread.expand(states, -1).clone(),
    )
    likelihoods = []
    for _ in range(iterations):
        gamma, expected, nats = model.posteriors(vectors, sentences)
        likelihoods.append(nats.mean().item())
        model = improved(vectors, sentences, gamma, expected, covariance, FLOOR * spread)
    return model, likelihoods


def improved(
    vectors: Tensor, sentences: Tensor, gamma: Tensor, expected: Tensor, covariance: str, floor: Tensor
) -> GaussianHMM:
    """The maximisation: what is likeliest, given the posteriors."""
    known = sentences >= 0
    by_word = gamma.new_zeros(len(vectors), gamma.shape[-1]).index_add(0, sentences[known], gamma[known])
    count = by_word.sum(0).clamp(min=1e-6)[:, None]  # (K, 1)
    means = by_word.T @ vectors / count
    variances = (by_word.T @ vectors.square() / count - means.square()).maximum(floor)
    if covariance == "spherical":
        variances = variances.mean(1, keepdim=True).expand_as(variances)
    start, moves = gamma[:, 0].sum(0) + 1e-6, expected + 1e-6
    return GaussianHMM((start / start.sum()).log(), (moves / moves.sum(1, keepdim=True)).log(), means, variances)


def v_measure(found: Tensor, truth: Tensor) -> float:
    """The harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg 2007), in percent.

    Args:
        found, truth: (n,) int64, the class of each word.
    """
    table = torch.zeros(int(found.max()) + 1, int(truth.max()) + 1, dtype=torch.float64)
    table.index_put_((found.cpu(), truth.cpu()), torch.ones(len(found), dtype=torch.float64), accumulate=True)
    joint = table / table.sum()
    h_found, h_truth, h_both = (-torch.xlogy(p, p).sum() for p in (joint.sum(1), joint.sum(0), joint.flatten()))
    shared = h_found + h_truth - h_both  # what each says of the other
    homogeneity = shared / h_truth if h_truth > 0 else torch.ones(())
    completeness = shared / h_found if h_found > 0 else torch.ones(())
    total = homogeneity + completeness
    return float(100 * 2 * homogeneity * completeness / total) if total > 0 else 0.0


def induce(
    vectors: Tensor,
    sentences: Tensor,
    tags: Tensor,
    states: int,
    starts: int = 5,
    iterations: int = 20,
    covariance: str = "diagonal",
) -> list[float]:
    """V-measure in percent of the states against tags, of several random starts; all words count.

    Args:
        tags: (n, T) int64 of the words of the sentences.
    """
    check_whole(1, starts=starts)
    inside, found = sentences != PAD, []
    vectors = vectors / vectors.std().clamp(min=1e-12)  # the scale of vectors says nothing
    for seed in range(starts):
        model, _ = fit(vectors, sentences, states, iterations, covariance, seed)
        gamma, _, _ = model.posteriors(vectors, sentences)
        found.append(v_measure(gamma.argmax(-1)[inside], tags[inside]))
    return found
