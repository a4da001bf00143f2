"""What the formers are measured beside: the most frequent class, a linear model of words, n-grams and a compressor."""

import lzma
from collections.abc import Sequence

import numpy as np

from zoo.errors import ZooError

Labelled = tuple[Sequence[str], Sequence[int]]  # texts and their classes


def error(predicted: np.ndarray, labels: Sequence[int]) -> float:
    """Wrong answers in percent."""
    return 100 * float(np.mean(np.asarray(predicted) != np.asarray(labels)))


def majority(train: Labelled, test: Labelled) -> float:
    """The test error of always answering the most frequent class of the training texts."""
    return error(np.full(len(test[1]), np.bincount(train[1]).argmax()), test[1])


def bag_of_words(train: Labelled, val: Labelled, test: Labelled) -> dict[str, float]:
    """The test error of a linear support vector machine on tf-idf weights of words, C chosen on the validation texts.

    Words are lower-cased and occur in at least two training texts; counts are dampened to 1 + log.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.svm import LinearSVC
    except ImportError:
        raise ZooError("the bag of words needs scikit-learn: pip install -e '.[baselines]' in the checkout") from None
    words = TfidfVectorizer(min_df=2, sublinear_tf=True)
    x_train, x_val, x_test = words.fit_transform(train[0]), words.transform(val[0]), words.transform(test[0])
    tried = []
    for C in (0.03, 0.1, 0.3, 1.0, 3.0):
        model = LinearSVC(C=C, random_state=0).fit(x_train, train[1])
        tried.append((error(model.predict(x_val), val[1]), C, model))
    on_val, C, best = min(tried, key=lambda each: each[:2])
    return {"error": error(best.predict(x_test), test[1]), "val_error": on_val, "C": C}


def compressed(text: bytes, known: bytes = b"") -> float:
    """Bits per byte of a text that xz -9e packs, with a window for it and what is known before: 64 MB at most."""

    def size(data: bytes) -> int:
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 2**26}]
        return len(lzma.compress(data, lzma.FORMAT_XZ, filters=filters))

    return 8 * (size(known + text) - (size(known) if known else 0)) / len(text)


class NGrams:
    """p(w | h) of bytes, interpolated by the rule of Witten and Bell (1991).

    p(w | h) = (c(hw) + t(h) p(w | h')) / (c(h) + t(h)) with c the counts, t(h) the number of different bytes after
    h, and h' the history without its first byte; below one byte p is uniform over 256.

    Args:
        text: to count in, at least `order` bytes.
        order: n, at most 7: histories have up to n - 1 bytes.
    """

    def __init__(self, text: bytes, order: int = 5):
        if not 1 <= order <= 7:
            raise ZooError(f"order is {order}; expected 1 to 7")
        if len(text) < order:
            raise ZooError(f"the text has {len(text)} bytes, expected at least {order}")
        self.order, self.tables = order, []
        for n in range(1, order + 1):
            grams, counts = np.unique(self._codes(text, n), return_counts=True)
            history, first = np.unique(grams >> 8, return_index=True)  # grams are sorted, so each history is a run
            kinds = np.diff(np.append(first, len(grams)))
            self.tables.append((grams, counts, history, np.add.reduceat(counts, first), kinds))

    @staticmethod
    def _codes(text: bytes, n: int) -> np.ndarray:
        """A whole number for each stretch of n bytes: (len - n + 1,) int64."""
        values = np.frombuffer(text, np.uint8).astype(np.int64)
        codes = np.zeros(len(values) - n + 1, np.int64)
        for i in range(n):
            codes = codes << 8 | values[i : len(codes) + i]
        return codes

    @staticmethod
    def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """The value of each key that is wanted, 0 where there is none."""
        place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where(keys[place] == wanted, values[place], 0)

    def probabilities(self, text: bytes) -> np.ndarray:
        """p of every byte but the first, given those before it, at most order - 1: (len - 1,) float64."""
        p = np.full(len(text) - 1, 1 / 256)
        for n, (grams, counts, history, total, kinds) in enumerate(self.tables, 1):
            if n > len(text):
                break
            codes = self._codes(text, n)
            codes = codes[1:] if n == 1 else codes  # the first byte is only read
            here = p[max(n - 2, 0) :]  # those with at least n - 1 bytes before them
            c, t = (self._look_up(history, values, codes >> 8) for values in (total, kinds))
            known = c + t > 0
            mixed = (self._look_up(grams, counts, codes) + t * here) / np.where(known, c + t, 1)
            here[:] = np.where(known, mixed, here)
        return p

    def bits(self, text: bytes) -> float:
        """Mean of -log2 p over every byte but the first."""
        return float(-np.log2(self.probabilities(text)).mean())
