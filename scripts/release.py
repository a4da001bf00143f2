"""Writes the released weights of a row from a checkpoint: python scripts/release.py <ckpt> ram.mnist28_7"""

from zoo.commands.release_command import main

if __name__ == "__main__":
    main()
