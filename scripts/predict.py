"""From a raw input to an answer: python scripts/predict.py name=ram.mnist28_7 input=digit.png [output=path.png]"""

from zoo.commands.cli import predict

if __name__ == "__main__":
    predict()
