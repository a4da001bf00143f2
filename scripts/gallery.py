"""Opens a page in the browser on which released models answer: python scripts/gallery.py [port=7860]"""

from zoo.commands.gallery import main

if __name__ == "__main__":
    main()
