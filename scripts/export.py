"""Writes a released network for other programs: python scripts/export.py name=ram.mnist28_7 [output=path]"""

from zoo.commands.exporting import main

if __name__ == "__main__":
    main()
