"""Vocabularies: how text becomes numbers and back, as one `tokenizers` file a language, or one for both."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from datamodules.files import DataError, read_file

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"]
KINDS = ("bpe", "words")
END = "</w>"  # of a word, where BPE is of words with spaces between
LINES = 10_000  # that are made ids at a time

# what shows nothing: soft hyphens, zero-width spaces and joiners, direction marks, byte-order marks, control characters
INVISIBLE = r"[\p{Default_Ignorable_Code_Point}\p{Cc}\x{FFF9}-\x{FFFB}&&\S]"
STEPS = {INVISIBLE: "visible", "NFC": "nfc", r"\s+": "space", "Lowercase": "lc"}  # how a signature tells them


def make_normaliser(lowercase: bool = False, mark: str | None = None) -> normalizers.Normalizer:
    """What is done to text before anything else: what is read, written, scored and looked up goes through it.

    What shows nothing is taken out, letters and their accents are composed (NFC), white space is one space.

    Args:
        mark: what stands for a space in the vocabulary, so that in text it cannot be anything else.
    """
    space = [normalizers.Replace(mark, " ")] if mark else []
    space += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    lower = [normalizers.Lowercase()] if lowercase else []
    return normalizers.Sequence([normalizers.Replace(Regex(INVISIBLE), ""), *lower, normalizers.NFC(), *space])


CLEAN = make_normaliser()


def clean(lines: Iterable[str]) -> list[str]:
    """The lines normalised, but with their capitals."""
    return [CLEAN.normalize_str(line) for line in lines]


def normalise(tokenizer: Tokenizer, lines: Iterable[str]) -> list[str]:
    """The lines as a tokenizer reads them: what it then writes for a line is the line."""
    return [tokenizer.normalizer.normalize_str(line) for line in lines] if tokenizer.normalizer else list(lines)


def normalisation(tokenizer: Tokenizer) -> str:
    """How a signature tells the steps of a tokenizer's normaliser, as in "visible+nfc+space+lc"."""
    whole = json.loads(tokenizer.to_str())["normalizer"] or {"normalizers": []}
    steps = whole.get("normalizers", [whole])
    names = (STEPS.get(step.get("pattern", {}).get("Regex", step["type"])) for step in steps)
    return "+".join(name for name in names if name) or "none"


def train_tokenizer(
    lines: Iterable[str], size: int, kind: str = "bpe", *, lowercase: bool = False, pretokenised: bool = False
) -> Tokenizer:
    """A vocabulary of the given lines, with pad 0, bos 1, eos 2, unk 3.

    Args:
        size: entries beside the four special ones; a small corpus may give fewer.
        kind: "words", the most frequent ones, or "bpe" (Sennrich et al. 2016).
        pretokenised: the lines are words with spaces between; BPE then marks the end of a word. Otherwise BPE marks the
            spaces themselves, so that decoding gives back the line (but for runs of white space).
    """
    if kind not in KINDS:
        raise DataError(f"tokens is {kind!r}, not one of {', '.join(KINDS)}")
    special = SPECIALS
    normalizer = make_normaliser(lowercase, mark=None if kind == "words" else END if pretokenised else "▁")
    if kind == "words":
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        trainer = trainers.WordLevelTrainer(vocab_size=size + 4, show_progress=False)
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif pretokenised:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, end_of_word_suffix=END))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.decoder = decoders.BPEDecoder(suffix=END)
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")]
        )
        tokenizer.decoder = decoders.Metaspace()
    if kind == "bpe":
        mark = {"end_of_word_suffix": END} if pretokenised else {}
        if pretokenised:
            # the library numbers letters that end a word as it meets them, in an order that is new in every process
            last = {word[-1:] for line in lines for word in normalizer.normalize_str(line).split(" ")} - {""}
            special = [*SPECIALS, *sorted(letter + END for letter in last)]
        trainer = trainers.BpeTrainer(vocab_size=size + 4, special_tokens=special, show_progress=False, **mark)
    tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(lines, trainer)
    if kind == "words":  # the trainer would number a special symbol that stands in the text as a word
        words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        kept = [word for word, _ in words if word not in SPECIALS][:size]
        tokenizer.model = models.WordLevel({w: i for i, w in enumerate([*SPECIALS, *kept])}, unk_token="<unk>")
        tokenizer.add_special_tokens(SPECIALS)
    plain = json.loads(tokenizer.to_str())
    plain["added_tokens"] = [token for token in plain["added_tokens"] if token["content"] in SPECIALS]
    return Tokenizer.from_str(json.dumps(plain, ensure_ascii=False))


def read_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer file; raises DataError, naming it, where it is none or its special symbols are not ours."""
    try:
        text = read_file(path).decode()
        json.loads(text)
        tokenizer = Tokenizer.from_str(text)
    except DataError:
        raise
    except Exception as error:  # tokenizers raises plain Exception
        raise DataError(f"{path}: truncated or altered, not a tokenizer file ({error})") from None
    for number, symbol in enumerate(SPECIALS):
        if tokenizer.token_to_id(symbol) != number:
            raise DataError(f"{path}: {symbol} is {tokenizer.token_to_id(symbol)}, expected {number}")
    return tokenizer


def encode(tokenizer: Tokenizer, lines: list[str]) -> Iterator[list[int]]:
    """The ids of each line, without eos; a special symbol that stands in the text is text.

    Some lines at a time, since what the library makes of a line takes many times the memory of its ids.
    """
    tokenizer.encode_special_tokens = True
    for start in range(0, len(lines), LINES):
        for line in tokenizer.encode_batch_fast(lines[start : start + LINES], add_special_tokens=False):
            yield [max(i, UNK) for i in line.ids]


def surface(tokenizer: Tokenizer, line: str) -> list[str]:
    """How each id of a line is written, an unknown one as it stands in the line, with the mark of the end of a word."""
    tokenizer.encode_special_tokens = True
    found = tokenizer.encode(line, add_special_tokens=False)
    mark = getattr(tokenizer.model, "end_of_word_suffix", None) or ""

    def unknown(start: int, end: int) -> str:
        return line[start:end] + (mark if not line[end : end + 1].strip() else "")

    parts = zip(found.ids, found.offsets, strict=True)
    return [unknown(*place) if i <= UNK else tokenizer.id_to_token(i) for i, place in parts]


def join(tokenizer: Tokenizer, pieces: list[str]) -> str:
    """Text of tokens, some of which may be words that the vocabulary does not have."""
    return tokenizer.decoder.decode(pieces) if tokenizer.decoder is not None else " ".join(pieces)
