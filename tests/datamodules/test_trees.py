"""Treebank files: what is read, what is left out, what is refused; a tree as symbols and back."""

import gzip
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.files import DataError
from datamodules.trees import Trees, find, hide_tags, read_trees
from zoo.text import bracketing

BANK = """
( (S
    (NP-SBJ-1 (DT The) (NN cat) )
    (VP (VBD was)
      (VP (VBN seen)
        (NP (-NONE- *-1) )
        (PP=2 (IN by) (NP-LGS (PRP$ her) (NNS owners) ))))
    (. .) ))
(TOP (S (NP-SBJ (-NONE- *) ) (VP (VB Stop) (-LRB- -LRB-) (ADVP|PRT (RB now)))))
((X (NN a\\/b=c))) (()) ( (NP (-NONE- 0)))
( (TOP (ROOT (SYM -)))
  (NN last) )
"""
PAIRS = [
    ("The cat was seen by her owners .", "(S (NP DT NN )NP (VP VBD (VP VBN (PP IN (NP PRP$ NNS )NP )PP )VP )VP . )S"),
    ("Stop -LRB- now", "(S (VP VB -LRB- (ADVP|PRT RB )ADVP|PRT )VP )S"),
    ("a\\/b=c", "(X NN )X"),
    ("- last", "(TOP (ROOT SYM )ROOT )TOP NN"),
]


def test_a_file_is_read_without_traces_functions_and_roots(tmp_path):
    (tmp_path / "a.mrg").write_text(BANK)
    (tmp_path / "b.mrg.gz").write_bytes(gzip.compress(BANK.replace("\n", "\r\n").encode()))
    assert read_trees(tmp_path / "a.mrg") == read_trees(tmp_path / "b.mrg.gz") == PAIRS
    assert hide_tags(PAIRS[0][1]) == "(S (NP XX XX )NP (VP XX (VP XX (PP XX (NP XX XX )NP )PP )VP )VP XX )S"


words = st.sampled_from(["a", "-", "b=c", "*", "ü", "no\u00a0break", "-RRB-", "<s>"])
labels = st.sampled_from(["S", "NP", "VP", "-LRB-", "PRN", "WHADVP"])
leaves = st.tuples(labels, words)
trees = st.recursive(leaves, lambda inner: st.tuples(labels, st.lists(inner, min_size=1, max_size=4)), max_leaves=12)


def bracketed(tree, function="") -> str:
    label, inner = tree
    label += "" if label.startswith("-") else function
    return f"({label} {inner if isinstance(inner, str) else ' '.join(bracketed(each, function) for each in inner)})"


def taken_apart(tree, first=0) -> tuple[list[str], list[tuple[str, int, int]]]:
    """Words and labelled spans, by recursion."""
    label, inner = tree
    if isinstance(inner, str):
        return [inner], []
    found, spans = [], []
    for each in inner:
        more, brackets = taken_apart(each, first + len(found))
        found, spans = found + more, spans + brackets
    return found, [*spans, (label, first, first + len(found))]


@settings(deadline=None, max_examples=30, derandomize=True)
@given(tree=trees, function=st.sampled_from(["", "-SBJ-1", "=2"]))
def test_a_tree_written_as_symbols_is_the_same_tree(tree, function, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "one.mrg"
    path.write_bytes(f"( {bracketed(tree, function)})\n".replace(") (", ")\n  (").encode())
    ((sentence, line),) = read_trees(path)
    read = bracketing.read(line)
    assert (sentence.split(" "), read.brackets) == taken_apart(tree)
    assert bracketing.read(hide_tags(line)).brackets == read.brackets


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("( (S (NN a)))\n( (S (NN a))\n\n", "line 2: the tree that begins here is never closed"),
        ("( (S (NN a))))", r"line 1: '\)' stands outside of a tree"),
        ("( (S (NN a)))\nwords", "line 2: 'words' stands outside of a tree"),
        ("( (S\n(NN a b)))", r"line 2: the word 'b' has no tag of its own, expected \(tag b\)"),
        ("( (S (NN a) b))", "line 1: the word 'b' has no tag"),
        ("( (S (NN a (NN b))))", "line 1: a bracket beside the word 'a'"),
        ("( (NP (the) (NN cat)))", r"line 1: \(the\) holds neither a word nor brackets"),
        ("((()))", "holds no trees"),
        ("", "holds no trees"),
    ],
)
def test_a_bad_file_is_named_with_its_line(text, message, tmp_path):
    path = tmp_path / "bad.mrg"
    path.write_text(text)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}[,:] {message}[^\n]*$"):
        read_trees(path)


def test_deep_brackets_and_strange_bytes(tmp_path):
    path = tmp_path / "deep.mrg"
    path.write_text("(S " * 3000 + "(NN a)" + ")" * 3000)
    assert read_trees(path)[0][0] == "a"
    path.write_bytes(b"( (S (NN a)))\n( (S (NN \xff)))")
    with pytest.raises(DataError, match="line 2: not UTF-8"):
        read_trees(path)


def test_patterns_name_the_sections(tmp_path):
    for name in ("02/b", "02/a", "21/a", "22/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.mrg").write_text(f"( (NP (NN {name.replace('/', '')})))")
    data = Trees(str(tmp_path), train=["0[2-9]/*.mrg", "2[01]/*.mrg"], val="22/*.mrg")
    assert [words for words, _ in data.pairs("train")] == ["02a", "02b", "21a"]
    assert data.references("val", [0]) == ["(NP NN )NP"] and data.sources("val", [0]) == ["22a"]
    with pytest.raises(DataError, match=r"test\.mrg: there is no such file"):
        data.pairs("test")
    with pytest.raises(DataError, match=r"say where the treebank is: data\.root=<folder>"):
        find(None, "*")


@pytest.mark.parametrize("how", [{}, {"tags": True}, {"tokens": "bpe"}, {"joint": False}])
def test_ids_give_the_tree_back(how, tmp_path):
    (tmp_path / "train.mrg").write_text(BANK)
    data = Trees(str(tmp_path), **how)
    batch = next(iter(data.train_dataloader()))
    written = data.detokenise([[i for i in row if i > 2] for row in batch["target"].tolist()])
    expected = data.references("train", batch["index"].tolist())
    assert written == (expected if how.get("tags") else [hide_tags(tree) for tree in expected])
    assert (data.spec["source_vocabulary"] == data.spec["target_vocabulary"]) == data.joint
