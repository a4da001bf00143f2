"""Writes a released network for other programs: python scripts/export.py name=ram.mnist28_7 [format=onnx] [output=path]

The format is torch (torch.export, .pt2; the default) or onnx (needs the extra `export`). The file takes batches of any
size, and is kept only if its outputs are those of the network.
"""

import sys

from zoo.commands.exporting import export, parse
from zoo.errors import ZooError


def main() -> None:
    if not sys.argv[1:] or {"-h", "--help"} & set(sys.argv):
        sys.exit(__doc__)
    try:
        path, worst = export(**parse(sys.argv[1:]))
    except ZooError as error:
        sys.exit(str(error))
    print(f"{path}: outputs differ from the network's by at most {worst:.2g}")


if __name__ == "__main__":
    main()
