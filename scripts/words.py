"""Measures word vectors: python scripts/words.py <vectors> [options]; one line of JSON.

<vectors> are a file in word2vec's text or binary format, a run folder, or released weights (attentive_cbow.<row>). With
--output they are written to a file, in the binary format where it ends in .bin. Without it they are tested:

* induction: V-measure in % of a Gaussian hidden Markov model against the tags, mean and deviation over its starts;
* tagging: accuracy in % of a window tagger over the vectors as they are;
* similarity (an extra, not in the paper): Spearman's correlation and the pairs that have vectors, for WordSim-353 and
  SimLex-999 where gensim is installed, which has them;
* sentiment, where --reviews says where the sdist of vaderSentiment is: accuracy in % of a logistic regression.

Tags are a tagger's (silver), for sentences of Debian's descriptions, or those of a CoNLL-U file (--train, --test).
"""

import argparse
import json
import statistics
from pathlib import Path

import torch
from torch import Tensor

from datamodules.lexicon import read_lexicon
from datamodules.reviews import read_reviews, shared_out
from datamodules.tagged import Tagged, read_conll, read_silver
from zoo import create_model
from zoo.errors import ZooError, in_one_sentence
from zoo.models.attentive_cbow.induction import PAD, induce
from zoo.models.attentive_cbow.tasks import Lookup, sentiment, similarity, tagging
from zoo.models.attentive_cbow.vectors import read_vectors, write_vectors
from zoo.registry import released
from zoo.training.reading import read_checkpoint


def read(given: str) -> tuple[list[str], Tensor]:
    """Words and vectors of a file, a run folder or released weights."""
    path = Path(given)
    if path.is_file():
        return read_vectors(path)
    if (path / "checkpoints/best.ckpt").exists():
        state = read_checkpoint(path / "checkpoints/best.ckpt")["state_dict"]
        if "network.W.weight" not in state:
            raise ZooError(f"{path}: no run of attentive_cbow, since it has no vectors W")
        return read_lexicon(path / "tokenizer").words, state["network.W.weight"].float()
    if path.is_dir():
        raise ZooError(f"{path}: neither a file of vectors nor the folder of a run that has a best checkpoint")
    return read_lexicon(released(given)).words, create_model(given, pretrained=True).W.weight.detach().float()


def induced(lookup: Lookup, tagged: Tagged, starts: int) -> list[float]:
    """V-measures of several starts."""
    lookup.known(tagged.words)
    kinds = {tag: i for i, tag in enumerate(sorted({tag for row in tagged.tags for tag in row}))}
    shape = len(tagged.words), max(map(len, tagged.words))
    words, tags = torch.full(shape, PAD), torch.full(shape, PAD)
    for i, (row, named) in enumerate(zip(*tagged, strict=True)):
        words[i, : len(row)] = torch.tensor(lookup.ids(row))
        tags[i, : len(row)] = torch.tensor([kinds[tag] for tag in named])
    return induce(lookup.table[:-1], words, tags, len(kinds), starts)


def pairs(name: str) -> list[tuple[str, str, float]]:
    """Pairs of words and what people said of them, from the files that gensim ships."""
    from gensim.test.utils import datapath

    lines = Path(datapath(name)).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    return [(a, b, float(said)) for a, b, said in rows]


def measure(words: list[str], vectors: Tensor, given: argparse.Namespace) -> dict[str, float]:
    """What the tests say; see the top."""
    lookup = Lookup(words, vectors, lowercase=not given.case)
    if given.train:
        train, test = read_conll(given.train), read_conll(given.test or given.train)
    else:
        train, test = read_silver("train", given.fine), read_silver(given.split, given.fine)
    starts = induced(lookup, test, given.starts)
    accuracies = [tagging(lookup, train, test, seed) for seed in range(given.taggers)]
    found = {
        "v_measure": statistics.mean(starts),
        "v_measure_std": statistics.pstdev(starts),
        "tagging": statistics.mean(accuracies),
        "tagging_std": statistics.pstdev(accuracies),
        "known_words": 100 * lookup.known(test.words),
    }
    if given.reviews:
        sides = shared_out(*read_reviews(given.reviews))
        found |= {"sentiment": sentiment(lookup, sides["train"], sides["test"]), "reviews": len(sides["test"][1])}
    try:
        for name, file in (("wordsim353", "wordsim353.tsv"), ("simlex999", "simlex999.txt")):
            found[name], found[f"{name}_pairs"] = similarity(lookup, pairs(file))
    except (ImportError, OSError, ZooError):
        pass  # no gensim, or its files are elsewhere, or too few pairs have vectors
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors")
    parser.add_argument("--output", help="write the vectors to this file, and test nothing")
    parser.add_argument("--fine", action="store_true", help="Penn's tags, not the universal ones")
    parser.add_argument("--split", default="test", choices=["val", "test"], help="of the silver tags")
    parser.add_argument("--train", help="a CoNLL-U file to train the tagger on")
    parser.add_argument("--test", help="a CoNLL-U file to test on; default: that of --train")
    parser.add_argument("--reviews", help="vaderSentiment-3.3.2.tar.gz")
    parser.add_argument("--starts", type=int, default=5, help="of the hidden Markov model")
    parser.add_argument("--taggers", type=int, default=1, help="window taggers, a seed each")
    parser.add_argument("--case", action="store_true", help="words are not lower-cased before they are looked up")
    given = parser.parse_args()
    with in_one_sentence():
        words, vectors = read(given.vectors)
        if given.output:
            write_vectors(given.output, words, vectors, binary=given.output.endswith(".bin"))
            print(f"{given.output}: {len(words)} vectors of {vectors.shape[1]} numbers")
        else:
            print(json.dumps({name: round(value, 3) for name, value in measure(words, vectors, given).items()}))


if __name__ == "__main__":
    main()
