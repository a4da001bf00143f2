"""The variance of every estimator's gradient at the same weights, for the wake-sleep room.

Usage: python scripts/estimators.py wake_sleep_ram.scaled100_wsq_c_long [--draws 100] [--pictures 64] [--samples 5]

Prints the variance of a parameter's gradient over redraws of all glimpses, a mean over those of the policy's heads and
over all of theta, without and with control variates, and how many times less it is with them.
"""

import argparse

import torch

import zoo
from datamodules.mnist import MNIST
from zoo.errors import in_one_sentence
from zoo.models.wake_sleep_ram import LitWakeSleepRAM
from zoo.models.wake_sleep_ram.variance import gradient_variance
from zoo.nn.estimators import KINDS, Estimator
from zoo.release import read_config


def tell(given: argparse.Namespace) -> None:
    """Prints a line for each estimator."""
    config = read_config(zoo.registry.released(given.name))
    lit = LitWakeSleepRAM(**config["network"])
    lit.network.load_state_dict(zoo.create_model(given.name, pretrained=True).state_dict())
    data = MNIST(canvas=config["preprocess"]["size"], scale=[0.5, 1.5])
    data.setup()
    batch = data.batch("test", torch.arange(given.pictures))
    print(f"{'':8}{'policy':>12}{'controlled':>12}{'ratio':>10}{'theta':>12}{'controlled':>12}{'ratio':>10}")
    for kind in KINDS:
        found = []
        for control in (False, True):
            lit.estimator = Estimator(kind, given.samples, control)
            found.append(gradient_variance(lit, batch, given.draws))
        line = f"{kind:8}"
        for part in ("policy", "theta"):
            plain, controlled = (each[part] for each in found)
            line += f"{plain:12.3g}{controlled:12.3g} {plain / controlled:9.4g}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="released weights with an inference network: slug.row or a folder")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--samples", type=int, default=5)
    given = parser.parse_args()
    with in_one_sentence():
        tell(given)


if __name__ == "__main__":
    main()
