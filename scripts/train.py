"""Trains one row of a paper: python scripts/train.py experiment=ram/mnist28_6 [key=value ...]"""

from zoo.commands.cli import train

if __name__ == "__main__":
    train()
