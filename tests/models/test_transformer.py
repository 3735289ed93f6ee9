"""BERT, OPT and ViT: the originals' numbers, weights that go both ways, gradients everywhere."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from stanhop_app.errors import ArtefactError
from stanhop_app.layers.association import ASSOCIATIONS
from stanhop_app.models.bert import BERT, BERTConfig
from stanhop_app.models.hugging_face import load_checkpoint, save_checkpoint
from stanhop_app.models.opt import OPT, OPTConfig
from stanhop_app.models.vit import ViT, ViTConfig

SIZE = {"dim": 16, "num_heads": 2, "num_layers": 2, "hidden_dim": 32, "dropout": 0.0}
TEXT = {**SIZE, "vocab_size": 40, "max_length": 12}


def original(kind):
    """Hugging Face's model with random weights, norms and biases too."""
    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    text = {"vocab_size": 40, "max_position_embeddings": 12}
    if kind == "bert":
        config = transformers.BertConfig(**size, **text, intermediate_size=32)
        model = transformers.BertForMaskedLM(config)
    elif kind == "opt":
        config = transformers.OPTConfig(**size, **text, ffn_dim=32, word_embed_proj_dim=16)
        model = transformers.OPTForCausalLM(config)
    else:
        config = transformers.ViTConfig(
            **size, intermediate_size=32, image_size=8, patch_size=2, num_channels=1, num_labels=5
        )
        model = transformers.ViTForImageClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def make(kind, **options):
    if kind == "bert":
        return BERT(BERTConfig(**{**TEXT, **options}))
    if kind == "opt":
        return OPT(OPTConfig(**{**TEXT, **options}))
    return ViT(ViTConfig(**{**SIZE, "num_classes": 5, **options}))


def inputs(kind, batch=3):
    if kind == "vit":
        return torch.randn(batch, 1, 8, 8)
    return torch.randint(0, 40, (batch, 10))


@pytest.fixture(params=["bert", "opt", "vit"])
def kind(request):
    return request.param


@torch.no_grad()
def test_logits_equal_the_original_s(kind, tmp_path):
    theirs = original(kind)
    theirs.save_pretrained(tmp_path)
    ours = load_checkpoint(tmp_path)
    x = inputs(kind)
    torch.testing.assert_close(ours(x), theirs(x).logits, rtol=1e-5, atol=1e-5)
    if kind == "vit":
        return
    mask = torch.ones(3, 10, dtype=torch.bool)
    mask[0, 7:] = mask[2, 4:] = False
    wanted = theirs(x, attention_mask=mask.long()).logits
    torch.testing.assert_close(ours(x, mask)[mask], wanted[mask], rtol=1e-5, atol=1e-5)
    if kind == "bert":
        segments = (torch.arange(10) > 4).long().expand(3, -1)
        wanted = theirs(x, token_type_ids=segments).logits
        torch.testing.assert_close(ours(x, None, segments), wanted, rtol=1e-5, atol=1e-5)


def test_weights_go_there_and_back_unchanged(kind, tmp_path):
    theirs = original(kind)
    theirs.save_pretrained(tmp_path / "theirs")
    save_checkpoint(load_checkpoint(tmp_path / "theirs"), tmp_path / "ours")
    before, after = (load_file(tmp_path / n / "model.safetensors") for n in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    again, information = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(information[key] for key in ("missing_keys", "unexpected_keys"))
    x = inputs(kind)
    torch.testing.assert_close(again.eval()(x).logits, theirs(x).logits)
    with pytest.raises(FileExistsError, match="holds a checkpoint already"):
        save_checkpoint(load_checkpoint(tmp_path / "ours"), tmp_path / "ours")


def test_a_checkpoint_runs_with_other_associations(kind, tmp_path):
    original(kind).save_pretrained(tmp_path)
    ours = load_checkpoint(tmp_path, association="softmax1")
    assert ours.config.association == "softmax1"
    assert not torch.allclose(ours(inputs(kind)), load_checkpoint(tmp_path)(inputs(kind)))


@pytest.mark.parametrize("gate", [None, "linear", "mlp", "all_heads"])
@pytest.mark.parametrize("association", ASSOCIATIONS)
def test_gradients_reach_every_parameter(kind, association, gate):
    model = make(kind, association=association, gate=gate)
    model(inputs(kind)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # Sparse rules may leave the scores of a small start without a gradient.
        if association not in ("sparsemax", "entmax15", "entmax") and "segments" not in name:
            assert parameter.grad.abs().sum() > 0 or name.endswith("key.bias"), name


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"association": "softmax"},
        {"clip": (-0.03, 1.0)},
        {"gate": "linear"},
        {"feed_forward": "memory", "projection": "memory"},
    ],
    ids=str,
)
def test_one_batch_is_learned_by_heart(kind, options):
    model = make(kind, **options)
    x = inputs(kind, batch=4)
    target = torch.randint(0, 5, (4,)) if kind == "vit" else x.roll(3, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        logits = model(x)
        loss = F.cross_entropy(logits.flatten(0, -2), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.1:
            break
    # A causal model cannot know the first targets of a roll to the right before it has seen them.
    assert loss.item() < 0.1, loss


def test_a_seed_fixes_the_start_and_weights_are_those_of_the_papers(kind):
    torch.manual_seed(3)
    one = make(kind, gate="linear", feed_forward="memory")
    torch.manual_seed(3)
    two = make(kind, gate="linear", feed_forward="memory")
    for (name, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    big = make(kind, dim=64, num_heads=4)
    assert big.blocks[0].retrieve.query.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert big.blocks[0].retrieve.query.bias.abs().max() == 0


def test_a_causal_model_does_not_see_what_follows():
    model = make("opt").eval()
    x = inputs("opt")
    changed = x.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 40
    before, after = model(x), model(changed)
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


def test_padding_changes_nothing():
    for kind in ("bert", "opt"):
        model, x = make(kind).eval(), inputs(kind)
        mask = torch.ones(3, 10, dtype=torch.bool)
        mask[:, 6:] = False
        other = x.clone()
        other[:, 6:] = 1
        torch.testing.assert_close(model(x, mask)[:, :6], model(other, mask)[:, :6])
        torch.testing.assert_close(model(x, mask)[:, :6], model(x[:, :6]))


def damage(folder, **changes):
    tensors = load_file(folder / "model.safetensors")
    for name, value in changes.items():
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    save_file(tensors, folder / "model.safetensors")


def test_bad_checkpoints_name_what_is_wrong(tmp_path):
    save_checkpoint(make("bert"), tmp_path)
    bias = "bert.embeddings.LayerNorm.bias"
    damage(tmp_path, **{"bert.extra.weight": torch.zeros(3)})
    with pytest.raises(ArtefactError, match="unknown tensor bert.extra.weight"):
        load_checkpoint(tmp_path)
    damage(tmp_path, **{"bert.extra.weight": None, bias: torch.zeros(3)})
    with pytest.raises(ArtefactError, match=rf"{bias} is \(3,\), wanted \(16,\)"):
        load_checkpoint(tmp_path)
    damage(tmp_path, **{bias: None})
    with pytest.raises(ArtefactError, match=f"lacks the tensor {bias}"):
        load_checkpoint(tmp_path)
    untied = {"cls.predictions.decoder.weight": torch.zeros(40, 16), bias: torch.zeros(16)}
    damage(tmp_path, **untied)
    with pytest.raises(ArtefactError, match="is not tied to"):
        load_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ArtefactError, match="damaged"):
        load_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ArtefactError, match="no such file"):
        load_checkpoint(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        ({"model_type": "gpt2"}, "of 'gpt2', not of bert"),
        ({"hidden_act": "relu"}, "hidden_act='relu'"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(ArtefactError, match=message):
            load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ArtefactError, match="damaged"):
        load_checkpoint(tmp_path)
    with pytest.raises(ArtefactError, match="no such file"):
        load_checkpoint(tmp_path / "none")


def test_association_and_clip_are_kept_in_a_checkpoint(kind, tmp_path):
    model = make(kind, association="softmax1", clip=(-0.1, 1.0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    save_checkpoint(model, tmp_path)
    x = inputs(kind)
    torch.testing.assert_close(load_checkpoint(tmp_path)(x), model(x))
    dense = load_checkpoint(tmp_path, association="softmax", clip=None)
    assert not torch.allclose(dense(x), model(x), atol=1e-4)
    with pytest.raises(ValueError, match="options that there are not"):
        load_checkpoint(tmp_path, width=3)


def test_the_oldest_names_of_bert_s_norms_are_read(tmp_path):
    model = make("bert").eval()
    save_checkpoint(model, tmp_path)
    path = tmp_path / "model.safetensors"
    renamed = {
        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): t
        for n, t in load_file(path).items()
    }
    save_file(renamed, path)
    x = inputs("bert")
    torch.testing.assert_close(load_checkpoint(tmp_path)(x), model(x))


def test_what_hugging_face_has_no_name_for_is_not_written(kind, tmp_path):
    with pytest.raises(ValueError, match=r"gate.*has no such tensor"):
        save_checkpoint(make(kind, gate="linear"), tmp_path)
    with pytest.raises(ValueError, match="has no such tensor"):
        save_checkpoint(make(kind, feed_forward="memory"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_options_that_cannot_be_are_said():
    with pytest.raises(ValueError, match="patch_size must divide"):
        ViTConfig(image_size=8, patch_size=3)
    with pytest.raises(ValueError, match="dim must be at least 1"):
        BERTConfig(dim=0)
    with pytest.raises(ValueError, match="vocab_size must be"):
        OPTConfig(vocab_size=0)
    with pytest.raises(ValueError, match="feed_forward must be one of"):
        OPTConfig(feed_forward="none")
    with pytest.raises(ValueError, match=r"images must be \(batch, 1, 8, 8\)"):
        make("vit")(torch.randn(2, 3, 8, 8))
    with pytest.raises(ValueError, match="max_length is 12"):
        make("bert")(torch.zeros(1, 13, dtype=torch.long))
    with pytest.raises(ValueError, match="max_length is 12"):
        make("opt")(torch.zeros(1, 13, dtype=torch.long))
