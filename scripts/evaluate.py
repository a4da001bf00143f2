"""Recomputes a row's test metrics: python scripts/evaluate.py name=ram.mnist28_7 (or ckpt=<path>) [key=value ...]"""

from zoo.commands.cli import evaluate

if __name__ == "__main__":
    evaluate()
