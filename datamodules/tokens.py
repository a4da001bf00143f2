"""Vocabularies: how text becomes numbers and back, as one `tokenizers` file a language, or one for both."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from datamodules.files import DataError, read_file

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"]
KINDS = ("bpe", "words")


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
        raise ValueError(f"tokens is {kind!r}, not one of {', '.join(KINDS)}")
    clean = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    if kind == "words":
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        trainer = trainers.WordLevelTrainer(vocab_size=size + 4, special_tokens=SPECIALS, show_progress=False)
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif pretokenised:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")]
        )
        tokenizer.decoder = decoders.Metaspace()
    if kind == "bpe":
        mark = {"end_of_word_suffix": "</w>"} if pretokenised else {}
        trainer = trainers.BpeTrainer(vocab_size=size + 4, special_tokens=SPECIALS, show_progress=False, **mark)
    tokenizer.normalizer = normalizers.Sequence([*clean, *([normalizers.Lowercase()] if lowercase else [])])
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


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


def encode(tokenizer: Tokenizer, lines: list[str]) -> list[list[int]]:
    """The ids of each line, without eos; a special symbol that stands in the text is text."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(lines, add_special_tokens=False)]
