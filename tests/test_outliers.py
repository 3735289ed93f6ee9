"""Outlier metrics: golden values, streaming, presets, what caused what."""

import json
import weakref

import pytest
import torch
from torch import nn

from stanhop_app.errors import TrainingError
from stanhop_app.files import to_json
from stanhop_app.layers import Hopfield, HopfieldPooling
from stanhop_app.models.bert import BERT, BERTConfig
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.outliers import ROOT, OutlierReport, find_modules, kurtosis, record
from stanhop_app.quantization import quantize


class Same(nn.Module):
    """Puts out what it is given."""

    def forward(self, x):
        return x


def small_net(**options):
    config = {"num_variates": 3, "horizon": 8, "lookback": 24, "patch_length": 8, "dim": 8}
    return STanHopNet(STanHopConfig(**{**config, "num_heads": 2, "hidden_dim": 16, **options}))


def test_kurtosis_of_numbers_done_by_hand():
    """[1, 2, 3, 4]: fourth moment 2.5625, variance with Bessel's correction 5/3."""
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]], dtype=torch.float64)
    assert kurtosis(x).item() == pytest.approx(2.5625 / ((5 / 3) ** 2 + 1e-6), rel=1e-12)
    assert kurtosis(torch.full((2, 5), 7.0)).tolist() == [0.0, 0.0]
    one_in_a_hundred = torch.zeros(1, 100, dtype=torch.float64)
    one_in_a_hundred[0, 3] = 10.0  # mean 0.1, so fourth moment 96.0597 and sum of squares 99
    fourth = (99 * 0.1**4 + 9.9**4) / 100
    assert kurtosis(one_in_a_hundred).item() == pytest.approx(fourth / (1 + 1e-6), rel=1e-12)


def test_a_gaussian_has_kurtosis_three():
    """Within its error, sqrt(24 / numbers) for one sequence."""
    x = torch.randn(50, 200, 100, generator=torch.Generator().manual_seed(0))
    report = record(Same(), [x])
    assert report.average_kurtosis == pytest.approx(3.0, abs=4 * (24 / x.numel()) ** 0.5)
    quantiles = report.rows[0].quantiles
    assert quantiles["0.5"] == pytest.approx(0.6745, rel=0.01)
    assert quantiles["0.99"] == pytest.approx(2.5758, rel=0.01)
    assert quantiles["0.9999"] == pytest.approx(3.8906, rel=0.02)


def test_half_precision_is_measured_in_single():
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(0)) * 30
    half = x.to(torch.float16)
    torch.testing.assert_close(kurtosis(half), kurtosis(half.float()))


def test_the_norm_is_the_mean_over_sequences_and_the_maximum_over_modules():
    x = torch.tensor([[[1.0, -5.0]], [[2.0, 3.0]]])
    report = record(nn.Sequential(Same(), nn.Hardtanh(-1, 1)), [x])
    table = report.table()
    assert table["max_inf_norm"].to_dict() == {ROOT: 1.0, "0": 4.0, "1": 1.0}
    assert report.max_inf_norm == 4.0
    assert report.average_kurtosis == pytest.approx(table["kurtosis"].mean())
    assert table.loc["0", "largest"] == 5.0
    assert table.loc["0", "sample"] == 0


@pytest.mark.parametrize("modules", ["all", "ffn+norm", "layer-outputs", ["deep.blocks.*.time*"]])
def test_batches_do_not_matter(modules):
    net, x = small_net(), torch.randn(12, 24, 3)
    whole = record(net, [x], modules=modules)
    split = record(net, x.split([5, 1, 6]), modules=modules)
    assert whole.samples == split.samples == 12
    assert whole.table().index.tolist() == split.table().index.tolist()
    for a, b in zip(whole.rows, split.rows, strict=True):
        assert a.kurtosis == pytest.approx(b.kurtosis, rel=1e-5)
        assert a.max_inf_norm == pytest.approx(b.max_inf_norm, rel=1e-5)
        assert a.quantiles == pytest.approx(b.quantiles, rel=1e-3)
        assert a.largest == pytest.approx(b.largest, rel=1e-5)
        assert (a.no_op or 0) == pytest.approx(b.no_op or 0, rel=1e-5, abs=1e-7)
        for name in ("top_channels", "top_steps"):
            ours, theirs = (dict(getattr(row, name)) for row in (a, b))
            assert sorted(ours.values()) == pytest.approx(sorted(theirs.values()), rel=1e-5)


def test_memory_does_not_grow_with_batches():
    """No activation lives longer than its batch."""
    alive = weakref.WeakSet()

    class Watched(nn.Module):
        def forward(self, x):
            out = x + 1
            alive.add(out)
            return out

    def batches():
        for _ in range(20):
            yield torch.randn(8, 50)
            assert len(alive) <= 2

    assert record(Watched(), batches()).samples == 160


@pytest.mark.parametrize("shape", [(6, 7), (6, 5, 7), (6, 2, 5, 7), (6, 2, 3, 5, 7)])
def test_outputs_of_every_rank(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    x[4, ..., 3] = 50.0
    row = record(Same(), x.split(4)).rows[0]
    assert row.top_channels[0][0] == 3
    assert (row.sample, row.largest, row.sequences) == (4, 50.0, 6)
    assert (len(row.top_steps) > 0) == (len(shape) > 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_double(dtype):
    x = torch.full((3000, 4), 10.0, dtype=dtype)
    x[:, 1] = 8.0
    whole, split = record(Same(), [x]), record(Same(), x.split(7))
    assert whole.max_inf_norm == split.max_inf_norm == 10.0
    assert whole.average_kurtosis == pytest.approx(split.average_kurtosis, rel=1e-6)


def test_large_numbers_have_a_kurtosis():
    x = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
    for scale in (1e-3, 1e3, 1e10, 1e30):
        assert kurtosis(scale * x).isfinite().all()
    torch.testing.assert_close(kurtosis(1e12 * x), kurtosis(1e3 * x), rtol=1e-4, atol=0)
    exact = kurtosis((1e-1 * x).double())
    torch.testing.assert_close(kurtosis(1e-1 * x).double(), exact, rtol=1e-5, atol=0)


def test_quantiles_of_one_value_are_that_value():
    row = record(Same(), [torch.ones(3, 10)]).rows[0]
    assert all(0.9375 <= value <= 1.0 for value in row.quantiles.values())


def test_a_module_with_two_names_is_measured_once_under_the_first_that_is_asked_for():
    model = nn.Sequential(linear := nn.Linear(4, 4), linear)
    assert [row.module for row in record(model, [torch.randn(3, 4)]).rows] == [ROOT, "0"]
    assert [row.module for row in record(model, [torch.randn(3, 4)], modules="1").rows] == ["1"]


def test_a_quantised_model_is_measured_over_the_same_modules():
    net, x = small_net().eval(), torch.randn(4, 24, 3)
    names = [row.module for row in record(net, [x]).rows]
    assert [row.module for row in record(quantize(net, [x]), [x]).rows] == names


def test_a_planted_outlier_is_named():
    x = torch.randn(10, 6, 16, generator=torch.Generator().manual_seed(1))
    x[:, :, 11] += 40.0
    x[7, 2, 11] += 900.0
    report = record(Same(), x.split(4))
    row = report.rows[0]
    assert row.top_channels[0][0] == 11
    assert row.top_steps[0][0] == 2
    assert row.sample == 7
    assert row.largest == pytest.approx(x.abs().max().item())
    assert report.table().loc[ROOT, "top_channel"] == 11


def test_the_window_is_found_where_the_leading_dimension_holds_variates_too():
    net = small_net()
    x = torch.randn(9, 24, 3, generator=torch.Generator().manual_seed(2))
    report = record(net, x.split(4), modules=["deep.blocks.0.time.out"])
    with torch.no_grad():
        size = []
        net.deep.blocks[0].time.register_forward_hook(
            lambda m, given, out: size.extend(out.abs().unflatten(0, (-1, 3)).flatten(1).amax(1))
        )
        net.eval()(x)
    assert report.rows[0].sequences == 27
    assert report.rows[0].sample == int(torch.stack(size).argmax())


def test_queries_that_samples_share_belong_to_none():
    pooling = HopfieldPooling(8, 2, 3)
    report = record(pooling, [torch.randn(4, 5, 8)])
    by_name = {row.module: row for row in report.rows}
    assert by_name["hopfield.query"].sequences == 1
    assert by_name["hopfield.query"].sample is None
    assert by_name["hopfield.key"].sample is not None


def test_what_is_left_to_the_no_op():
    """Scores of 0 leave 1 / (1 + S) of softmax1, nothing of softmax, all of a clip that wipes."""
    x = torch.randn(2, 4, 8)
    for options, left in (
        ({"association": "softmax1"}, 1 / 5),
        ({"association": "softmax"}, 0.0),
        ({"association": "softmax", "clip": (-0.5, 1.0)}, 1.0),
    ):
        layer = Hopfield(8, 2, **options)
        nn.init.zeros_(layer.query.weight)
        row = record(layer, [x], modules=["retrieval"]).rows[0]
        assert row.kind == "Retrieval"
        assert row.no_op == pytest.approx(left, abs=1e-6)
    assert record(layer, [x], modules=["out"]).rows[0].no_op is None


def test_presets_choose_what_they_say():
    net = small_net()
    assert ROOT in find_modules(net, "all")
    layers = list(find_modules(net, "layer-outputs"))
    assert layers == [
        "deep.blocks.0",
        "deep.blocks.1",
        "deep.readers.0",
        "deep.readers.1",
        "deep.readers.2",
    ]
    chosen = find_modules(net, "ffn+norm")
    assert {"deep.blocks.0.time_feed", "deep.blocks.0.time_norm", "deep.readers.0.feed"} <= set(
        chosen
    )
    assert not any(name.endswith((".time", ".up", "_sum")) for name in chosen)
    memory = find_modules(small_net(feed_forward="memory"), "ffn+norm")
    assert "deep.blocks.0.time_feed" in memory


def test_hooks_and_modes_are_left_as_they_were():
    net = small_net().train()
    net.deep.embedding.eval()
    record(net, [torch.randn(2, 24, 3)])
    assert net.training
    assert not net.deep.embedding.training
    assert all(not module._forward_hooks for module in net.modules())
    with pytest.raises(TrainingError, match="not finite; lower the learning rate"):
        record(net, [torch.full((2, 24, 3), float("nan"))])
    assert all(not module._forward_hooks for module in net.modules())


def test_a_report_survives_json():
    report = record(small_net(), [torch.randn(4, 24, 3)], modules="all")
    again = OutlierReport.from_json(json.loads(to_json(report.as_json())))
    assert again == report
    assert again.modules == "all"


def test_arguments_may_be_a_tuple_or_a_mapping():
    layer, x, y = Hopfield(8, 2), torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    rows = [
        record(layer, [batch], modules=["out"]).rows[0].kurtosis
        for batch in ((x, y), {"query": x, "stored": y})
    ]
    assert rows[0] == rows[1]


def test_what_cannot_be_recorded_is_said():
    net = small_net()
    with pytest.raises(ValueError, match="no module matches 'encoder.*'.*all, ffn\\+norm"):
        record(net, [torch.randn(2, 24, 3)], modules="encoder*")
    for empty in ([], [torch.zeros(0, 24, 3)]):
        with pytest.raises(ValueError, match="no batch"):
            record(net, empty)
    with pytest.raises(ValueError, match="puts out a tensor"):
        record(net, [torch.randn(2, 24, 3)], modules=["deep.blocks"])


@pytest.mark.parametrize("family", ["bert", "opt", "vit"])
def test_models_of_transformers_can_be_recorded_and_quantised(family):
    """Outputs of two, three and four dimensions, arguments by keyword, tuples and model outputs."""
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    torch.manual_seed(0)
    if family == "vit":
        config = transformers.ViTConfig(**small, intermediate_size=32, image_size=8, patch_size=4)
        model = transformers.ViTForImageClassification(config)
        batch = {"pixel_values": torch.randn(3, 3, 8, 8)}
    else:
        batch = {"input_ids": torch.randint(3, 90, (3, 7))}
        if family == "bert":
            config = transformers.BertConfig(**small, vocab_size=99, intermediate_size=32)
            model = transformers.BertForMaskedLM(config)
        else:
            config = transformers.OPTConfig(
                **small, vocab_size=99, ffn_dim=32, word_embed_proj_dim=16
            )
            model = transformers.OPTForCausalLM(config)
    model.eval()
    everything = record(model, [batch])
    assert len(everything.rows) > 15
    norms = record(model, [batch], modules="ffn+norm")
    assert any(row.kind == "LayerNorm" for row in norms.rows)
    layers = record(model, [batch], modules="layer-outputs")
    assert len(layers.rows) == 2
    with torch.no_grad():
        exact = model(**batch).logits
        rounded = quantize(model, [batch])(**batch).logits
    assert 0 < (rounded - exact).norm() < 0.2 * exact.norm()


def test_the_papers_set_for_bert_is_among_ffn_and_norm():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=16,
        num_attention_heads=2,
        num_hidden_layers=2,
        intermediate_size=32,
        vocab_size=9,
    )
    names = set(find_modules(transformers.BertModel(config), "ffn+norm"))
    for layer in (0, 1):
        assert {f"encoder.layer.{layer}.output.{n}" for n in ("dense", "LayerNorm")} <= names
        assert f"encoder.layer.{layer}.attention.output.dense" not in names
    layers = [f"encoder.layer.{layer}.output" for layer in (0, 1)]
    wanted = [f"{name}.{part}" for name in layers for part in ("dense", "LayerNorm")]
    assert list(find_modules(transformers.BertModel(config), "ffn+its-norm")) == wanted
    own = BERT(BERTConfig(vocab_size=9, max_length=8, dim=8, num_heads=2, num_layers=2))
    wanted = [f"blocks.{block}.{part}" for block in (0, 1) for part in ("feed", "feed_norm")]
    assert list(find_modules(own, "ffn+its-norm")) == wanted
