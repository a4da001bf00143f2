"""Text and the numbers that a network reads and writes; the tokenizer travels with the weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.normalizers import Normalizer, Replace
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from zoo.release import WeightsError
from zoo.text.search import BOS, EOS, PAD, UNK

SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
# what shows nothing, as in datamodules.tokens, on the other side of the fence
INVISIBLE = r"[\p{Default_Ignorable_Code_Point}\p{Cc}\x{FFF9}-\x{FFFB}&&\S]"


def normaliser(steps: list[dict[str, Any]]) -> Normalizer:
    """The steps of a tokenizer's file as one function."""
    model = {"type": "WordLevel", "vocab": {}, "unk_token": "<unk>"}
    plain = {"version": "1.0", "normalizer": {"type": "Sequence", "normalizers": steps}, "model": model}
    return Tokenizer.from_str(json.dumps(plain | {"added_tokens": []})).normalizer


def visible(text: str) -> str:
    """A text without what shows nothing; line ends, tabs and other white space stay."""
    return Replace(Regex(INVISIBLE), "").normalize_str(text)


class Text:
    """One language of a released model, with the ids pad 0, bos 1, eos 2, unk 3.

    A line is normalised first, as in training, by what the tokenizer's file says; for instance what shows nothing is
    taken out.

    Args:
        path: a file of the `tokenizers` library, source.json or target.json of a released folder.
        language: for Moses tokenisation.
        moses: whether Moses tokenisation comes first and is undone last.
        reverse: whether the network reads the words in reverse.
    """

    def __init__(self, path: Path, language: str, moses: bool = False, reverse: bool = False):
        try:
            text = path.read_text(encoding="utf-8")
            self.tokenizer, plain = Tokenizer.from_str(text), json.loads(text)
        except Exception as error:  # tokenizers raises plain Exception
            raise WeightsError(f"{path}: cannot be read as a tokenizer ({error})") from None
        if [self.tokenizer.token_to_id(symbol) for symbol in SPECIALS] != [PAD, BOS, EOS, UNK]:
            raise WeightsError(f"{path}: the special symbols are not {', '.join(SPECIALS)} from 0")
        self.tokenizer.encode_special_tokens = True  # a special symbol that stands in a line is text
        self.language, self.moses, self.reverse = language, moses, reverse
        whole = plain.get("normalizer") or {"normalizers": []}
        steps = whole.get("normalizers", [whole])
        same = [step for step in steps if step["type"] != "Lowercase"]
        self.clean, self.lowercases = normaliser(same), len(same) < len(steps)
        self.of_words = plain["model"]["type"] == "WordLevel"
        self.splits_at_spaces = (plain.get("pre_tokenizer") or {}).get("type") == "WhitespaceSplit"

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def encode(self, lines: list[str]) -> list[list[int]]:
        """The ids of each line, without eos, in the order in which the network reads them."""
        found = self.tokenizer.encode_batch_fast(self._tokenised(lines), add_special_tokens=False)
        ids = [[max(i, UNK) for i in line.ids] for line in found]
        return [one[::-1] for one in ids] if self.reverse else ids

    def words(self, line: str) -> list[str]:
        """How each id of a line is written, in reading order; an unknown one as it stands (and the mark of an end).

        What shows nothing is left out, capitals stay.
        """
        (line,) = self._tokenised([line])
        found = self.tokenizer.encode(line, add_special_tokens=False)
        mark = getattr(self.tokenizer.model, "end_of_word_suffix", None) or ""

        def unknown(start: int, end: int) -> str:
            return line[start:end] + (mark if not line[end : end + 1].strip() else "")

        parts = zip(found.ids, found.offsets, strict=True)
        written = [unknown(*place) if i <= UNK else self.tokenizer.id_to_token(i) for i, place in parts]
        return written[::-1] if self.reverse else written

    def unknown(self, line: str, ids: Sequence[int]) -> list[str]:
        """What of a line, which became these ids, is unknown."""
        if UNK not in ids:
            return []
        (line,) = self._tokenised([line])
        found = self.tokenizer.encode(line, add_special_tokens=False)
        places = [place for i, place in zip(found.ids, found.offsets, strict=True) if i <= UNK]
        return [line[start:end] for start, end in places]

    def knows_nothing(self, ids: Sequence[int]) -> bool:
        """Whether nothing but unknown words and spaces became these ids."""
        return UNK in ids and set(self.pieces(ids)) <= {"<unk>", "▁"}

    def _tokenised(self, lines: list[str]) -> list[str]:
        lines = [self.clean.normalize_str(line) for line in lines]
        if not self.moses:
            return lines
        from sacremoses import MosesPunctNormalizer, MosesTokenizer

        same = MosesPunctNormalizer(lang=self.language, norm_quote_commas=False, norm_numbers=False)
        moses = MosesTokenizer(lang=self.language)
        return [moses.tokenize(same.normalize(line), escape=False, return_str=True) for line in lines]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """How each id is written."""
        return [self.tokenizer.id_to_token(i) for i in ids]

    def join(self, pieces: list[str]) -> str:
        """Text of tokens, some of which may be words that the vocabulary does not have."""
        decoder = self.tokenizer.decoder
        line = decoder.decode(pieces) if decoder is not None else " ".join(pieces)
        if not self.moses:
            return line
        from sacremoses import MosesDetokenizer

        return MosesDetokenizer(lang=self.language).detokenize(line.split(), unescape=False)


def with_eos(ids: list[list[int]], device: torch.device) -> Tensor:
    """(batch, longest + 1) int64, each row closed by eos and padded with 0."""
    rows = [torch.tensor([*row, EOS], dtype=torch.int64) for row in ids]
    return pad_sequence(rows, batch_first=True, padding_value=PAD).to(device)
