"""Words a second of CBOW and attentive CBOW beside gensim's CBOW, on one thread, on Debian's descriptions.

Every contender trains d = 50 with ten words of noise on the same text and vocabulary, windows of b words to either
side, no thinning, and is measured in CPU seconds of its own process, in turns; the best of all rounds counts. gensim's
inner loop is compiled C with one update a word, and shrinks windows at random (b / 2 on the mean); the zoo's are full,
words of a stretch share their noise, and updates are of 4,096 words, of the rows that these read (`model.sparse=true`).
Its data are included. Fewer documents have fewer words, whose tables are small enough for a cache.

Usage: python scripts/word_speed.py [--documents 1500] [--rounds 3]
"""

import argparse
import json
import subprocess
import sys
import time

import torch

from datamodules.windows import WordWindows
from zoo.models.attentive_cbow.module import LitVectors

CONTENDERS = ("gensim cbow", "zoo cbow", "zoo attentive", "zoo attentive, noise of its own")
STEPS = 100  # of the zoo's, after two to warm up


def of_gensim(data: WordWindows) -> float:
    """One epoch, without the counting of words."""
    from gensim.models import Word2Vec

    words, documents = data.text("train")
    cuts = torch.nonzero(documents.diff())[:, 0] + 1
    text = [[data.lexicon.words[i] for i in part.tolist()] for part in words.tensor_split(cuts)]
    shape = {"vector_size": 50, "window": data.window, "negative": 10, "sg": 0, "sample": 0, "min_count": 1}
    model = Word2Vec(**shape, workers=1, seed=0)
    model.build_vocab(text)
    began = time.process_time()
    model.train(text, total_examples=len(text), epochs=1)
    return len(words) / (time.process_time() - began)


def of_zoo(data: WordWindows, attend: str) -> float:
    """Some steps, data included, after two to warm up."""
    from zoo.training.memory import keep_freed_memory

    keep_freed_memory()
    model = LitVectors(attend=attend, vocabulary=len(data.lexicon.words), window=data.window, sparse=True)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    for step in range(STEPS + 2):
        if step == 2:
            began = time.process_time()
        batch = data.batch("train", (torch.arange(64) + 64 * step) % data.size("train"))
        loss = model.loss(batch)["loss"]
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    return STEPS * 64 * data.length / (time.process_time() - began)


def child(name: str, window: int, documents: int | None) -> float:
    torch.set_num_threads(1)
    own = "own" in name
    noise = {"shared": False, "negatives": 10} if own else {}
    data = WordWindows(window=window, limit=documents, tags=None, **noise)
    data.text("train")
    return of_gensim(data) if name.startswith("gensim") else of_zoo(data, "none" if "cbow" in name else "both")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, help="of the training text; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--window", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender:
        print(child(given.contender, given.window, given.documents))
        return
    found = {}
    for window in (5, 20):
        for _ in range(given.rounds):
            for name in CONTENDERS:
                command = [sys.executable, __file__, "--contender", name, "--window", str(window)]
                if given.documents:
                    command += ["--documents", str(given.documents)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                key = f"b = {window}, {name}"
                found[key] = max(found.get(key, 0), round(float(done.stdout.splitlines()[-1])))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
