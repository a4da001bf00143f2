"""The gallery: a page in the browser on which anyone gives a model an input and looks at where it looked."""

import os
import sys

from zoo.errors import ZooError, check_whole, in_one_sentence

HELP = """\
Opens a page in the browser on which released models answer, and show where they looked.

  python scripts/gallery.py [port=7860]     (or zoo-gallery, where the package is installed with its extra `app`)

  python scripts/gallery.py             on the next free port from 7860; the address is printed
  python scripts/gallery.py port=8000   on this port

A link like http://127.0.0.1:7860/?name=bahdanau.debian_de_en&text=Ein+Spiel opens with that input; beside=<name> adds a
second model. Only this machine reaches the page; nothing is asked of another one, and nothing is kept.
"""


def main() -> None:
    """Serves until Ctrl-C; what went wrong is one sentence, with exit code 1."""
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(HELP, end="")
        return
    with in_one_sentence():
        port = parse(words)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is loaded
        from zoo.commands.gallery.app import serve

        serve(port)


def parse(words: list[str]) -> int | None:
    """The port of the command line; None where it names none.

    Raises:
        ZooError: a word that is no port.
    """
    port = None
    for word in words:
        name, _, value = word.partition("=")
        if name != "port" or not value.isdecimal():
            raise ZooError(f"{word!r} is not understood; expected port=<number>, or --help")
        port = int(value)
        check_whole(1024, 65_535, port=port)
    return port
