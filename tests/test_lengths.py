"""BLEU by length is drawn where it was measured."""

import json

from scripts.lengths import lengths
from tests.conftest import called

LONG = {
    "bleu": 20.0,
    "bleu by source length": {"1-10": {"bleu": 30, "sentences": 5}, "11-20": {"bleu": 10, "sentences": 2}},
}
SHORT = {"bleu": 12.0, "bleu by source length": {"11-20": {"bleu": 12, "sentences": 2}}}


def test_lines_lie_over_their_bins():
    (ax,) = lengths({"search": LONG, "encdec": SHORT}).axes
    first, second = ax.lines
    assert list(first.get_xdata()) == [0, 1] and list(first.get_ydata()) == [30, 10]
    assert list(second.get_xdata()) == [1] and list(second.get_ydata()) == [12]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1-10\n5", "11-20\n2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["search (20.0)", "encdec (12.0)"]


def test_the_command_draws_and_tells_what_is_no_run(tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps(LONG))
    called("lengths", f"search={tmp_path / 'scores.json'}", "--output", str(tmp_path / "out.png"))
    assert (tmp_path / "out.png").stat().st_size > 1000
    (tmp_path / "other.json").write_text("{}")
    done = called("lengths", f"x={tmp_path / 'other.json'}", "--output", str(tmp_path / "out.png"), check=False)
    assert done.returncode == 1 and "other.json: not the scores" in done.stderr
