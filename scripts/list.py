"""Lists the rows of all papers: python scripts/list.py [pattern ...] [--weights]"""

from zoo.commands.listing import main

if __name__ == "__main__":
    main()
