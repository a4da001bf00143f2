"""What captions are worth: BLEU with and without its brevity penalty, exact matches, and pycocoevalcap's measures."""

import math
import shutil
from collections import Counter
from importlib.util import find_spec

ORDERS = 4  # n-grams of up to so many words


def bleu(hypotheses: list[str], references: list[list[str]]) -> tuple[list[float], float]:
    """BLEU-1 to BLEU-4 of a corpus without a brevity penalty, in percent, and the penalty that would multiply them.

    The geometric mean of the n-gram precisions, clipped by the reference that has the n-gram most often; the length of
    a reference is that nearest to the hypothesis, the shorter of two. Words are what stands between spaces.

    Args:
        hypotheses: one for each picture.
        references: one or more for each picture.
    """
    right, written, length, nearest = [0] * ORDERS, [0] * ORDERS, 0, 0
    for line, others in zip(hypotheses, references, strict=True):
        words, lists = line.split(), [other.split() for other in others]
        length += len(words)
        nearest += min((abs(len(each) - len(words)), len(each)) for each in lists)[1]
        for n in range(1, ORDERS + 1):
            most: Counter = Counter()
            for each in lists:
                most |= _ngrams(each, n)
            found = _ngrams(words, n)
            right[n - 1] += (found & most).total()
            written[n - 1] += found.total()
    logs = [math.log(r / w) if r else -math.inf for r, w in zip(right, written, strict=True)]
    scores = [100 * math.exp(sum(logs[:n]) / n) for n in range(1, ORDERS + 1)]
    return scores, 1.0 if length >= nearest else math.exp(1 - nearest / length) if length else 0.0


def _ngrams(words: list[str], n: int) -> Counter:
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def exact(hypotheses: list[str], references: list[list[str]]) -> float:
    """Percent of the hypotheses that are a reference."""
    right = sum(line in others for line, others in zip(hypotheses, references, strict=True))
    return 100 * right / len(hypotheses)


def scores(hypotheses: list[str], references: list[list[str]], whole: bool, meteor: bool = False) -> dict[str, float]:
    """All scores by name.

    Args:
        whole: False gives BLEU-4 and exact matches alone; with it there are CIDEr and ROUGE-L too, where pycocoevalcap
            is installed, and BLEU of the captions of other pictures, which tells what is worth nothing.
        meteor: METEOR 1.5 too, where there are pycocoevalcap and Java.
    """
    plain, penalty = bleu(hypotheses, references)
    found = {"bleu": plain[3], "exact": exact(hypotheses, references)}
    if not whole:
        return found
    found |= {f"bleu_{n}": plain[n - 1] for n in (1, 2, 3)}
    found |= {f"bleu_{n}_brevity": penalty * plain[n - 1] for n in (1, 2, 3, 4)}
    found["bleu_shuffled"] = bleu(hypotheses, references[1:] + references[:1])[0][3]
    if find_spec("pycocoevalcap"):
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.rouge.rouge import Rouge

        true, made = dict(enumerate(references)), {i: [line] for i, line in enumerate(hypotheses)}
        found["cider"] = float(Cider().compute_score(true, made)[0])
        found["rouge_l"] = 100 * float(Rouge().compute_score(true, made)[0])
        if meteor and shutil.which("java"):
            from pycocoevalcap.meteor.meteor import Meteor

            judge = Meteor()
            try:
                found["meteor"] = 100 * float(judge.compute_score(true, made)[0])
            finally:
                judge.meteor_p.kill(), judge.meteor_p.wait()
    return found
