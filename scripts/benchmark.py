"""Measures the training step of a row: python scripts/benchmark.py experiment=ram/mnist28_7 [settings=[fp32,bf16]]"""

from zoo.commands.cli import benchmark

if __name__ == "__main__":
    benchmark()
