"""Exported folders: parity, forecasts without torch, int8 that is checked, damage that is named."""

import io
import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from torch import nn

from stanhop_app import STanHopForecaster
from stanhop_app.errors import ArtefactError, ExportError
from stanhop_app.layers import Hopfield
from stanhop_app.layers.association import ASSOCIATIONS, Association
from stanhop_app.runs.exported import ExportedForecaster, load_forecaster
from stanhop_app.runs.exporting import export_run
from stanhop_app.runs.onnx import export_onnx, export_program, quantize_onnx
from stanhop_app.runs.run import Run

pytestmark = pytest.mark.slow

TINY = {"patch_length": 12, "dim": 8, "num_heads": 2, "hidden_dim": 8, "num_layers": 1}


def fitted(weather, network=None, **options):
    return STanHopForecaster(
        horizon=12,
        lookback=36,
        max_epochs=1,
        network={**TINY, **(network or {})},
        training={"max_steps": 2},
        **options,
    ).fit(weather)


@pytest.fixture(scope="module")
def forecaster(weather):
    return fitted(weather, linear_skip=False)  # or all of it may be the linear part


@pytest.fixture(scope="module")
def exports(forecaster, weather, tmp_path_factory):
    """One folder a kind, and what its report said."""
    root = tmp_path_factory.mktemp("exports")
    kinds = ("onnx", "onnx-int8", "torch-export")
    reports = {
        to: export_run(Run(forecaster=forecaster).on(weather), root / to, to=to) for to in kinds
    }
    return root, reports


@pytest.mark.parametrize(
    ("options", "network"),
    [
        ({"association": "sparsemax", "clip": (-0.03, 1.0), "gate": "linear"}, {"num_layers": 2}),
        ({"linear_skip": False}, {"feed_forward": "memory", "projection": "memory", "bits": 3}),
    ],
)
def test_every_kind_of_network_becomes_onnx_for_any_batch(weather, tmp_path, options, network):
    forecaster = fitted(weather, network, **options)
    assert export_run(Run(forecaster=forecaster), tmp_path / "x", to="onnx").difference < 1e-5
    exported, x = ExportedForecaster.load(tmp_path / "x"), torch.randn(7, 36, 3)
    with torch.no_grad():
        wanted = forecaster.fitted_.forecasting(x).numpy()
    np.testing.assert_allclose(exported.predict_windows(x.numpy()), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("association", ASSOCIATIONS)
def test_every_association_becomes_onnx(tmp_path, association):
    """A layer alone: the bisection of entmax is fifty steps, which take the exporter long."""
    import onnxruntime

    layer, x = Hopfield(8, 2, association=association), torch.randn(5, 4, 8)
    if association == "entmax":
        nn.init.normal_(layer.alpha_logit)
    export_onnx(layer, x[:2], tmp_path / "a.onnx")
    found = onnxruntime.InferenceSession(tmp_path / "a.onnx").run(None, {"window": x.numpy()})[0]
    np.testing.assert_allclose(found, layer(x).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["onnx", "torch-export"])
def test_an_export_forecasts_what_the_run_does(forecaster, exports, weather, kind):
    exported = load_forecaster(exports[0] / kind, trust=kind == "torch-export")
    assert isinstance(exported, ExportedForecaster)
    for arguments in ((), (weather.iloc[:200],), (weather.iloc[:200], 30)):
        wanted, found = forecaster.predict(*arguments), exported.predict(*arguments)
        pd.testing.assert_frame_equal(found, wanted, rtol=1e-4, atol=1e-4, check_freq=False)


@pytest.mark.parametrize("kind", ["onnx", "onnx-int8"])
def test_an_export_has_the_intervals_of_the_run(forecaster, exports, weather, kind):
    """Of its own rows and of another history, with bounds; those of fewer bits are about the same."""
    exported = load_forecaster(exports[0] / kind)
    tolerance = 2e-3 if kind == "onnx" else 0.05
    for rows in (None, weather.iloc[:850]):
        wanted = forecaster.predict_interval(rows, (80, 95), lower=0.0)
        made = exported.predict_interval(rows, (80, 95), lower=0.0)
        assert list(made) == list(wanted)
        scale = wanted.std().to_numpy() + 1.0
        assert (np.abs(made - wanted).to_numpy() <= 10 * tolerance * scale).all()
    assert exported.way == forecaster.way
    assert list(exported.bands(levels=(80,))) == ["80%"]


def test_int8_is_in_int8_and_close(forecaster, exports, stored):
    root, reports = exports
    report = reports["onnx-int8"]
    assert report.errors["test"]["export"] == pytest.approx(
        report.errors["test"]["network"], rel=0.02
    )
    model = onnx.load(stored(root / "onnx-int8", "model.onnx"))
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    linear = sum(isinstance(m, nn.Linear) for m in forecaster.network_.modules())
    heads = len(forecaster.network_.deep.heads)
    # The query of the pooling is a product of parameters, so that the exporter works it out.
    assert report.layers == linear - heads - 1 > 0
    assert 1e-6 < report.difference < 0.2
    int8 = [i for i in model.graph.initializer if i.data_type == onnx.TensorProto.INT8]
    assert len([i for i in int8 if len(i.dims) == 2]) >= report.layers
    assert reports["onnx"].layers == 0
    for kind, of in reports.items():
        assert set(of.milliseconds) == {"1", "64"}
        timed = {"PyTorch", "export"} | ({"float ONNX"} if kind == "onnx-int8" else set())
        assert all(set(row) == timed for row in of.milliseconds.values())
        assert not (root / kind / "float.onnx").exists()
        assert all(v > 0 for row in of.milliseconds.values() for v in row.values())


def test_an_int8_product_is_the_integer_computation(tmp_path):
    """One linear layer: uint8 input, int8 weight by column, sums in integers."""
    torch.manual_seed(0)
    layer, x = nn.Sequential(nn.Linear(6, 4, bias=False)), torch.randn(50, 6)
    export_onnx(layer, x[:2], tmp_path / "a.onnx")
    assert quantize_onnx(tmp_path / "a.onnx", tmp_path / "b.onnx", [{"window": x.numpy()}]) == 1
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "b.onnx")
    low, high = min(x.min().item(), 0), max(x.max().item(), 0)
    step = (high - low) / 255
    zero = round(-low / step)
    codes = ((x / step).round() + zero).clamp(0, 255) - zero
    weight = layer[0].weight.detach().T
    scale = weight.abs().amax(0) / 127
    wanted = (codes @ (weight / scale).round()) * step * scale
    found = session.run(None, {"window": x.numpy()})[0]
    room = (wanted.max() - wanted.min()).item() / 255  # the result is in uint8 again
    np.testing.assert_allclose(found, wanted.numpy(), atol=1.3 * room, rtol=0)
    assert len(np.unique(found)) <= 256


def test_an_int8_export_that_is_too_much_worse_is_refused(
    forecaster, exports, weather, tmp_path, monkeypatch
):
    monkeypatch.setattr("stanhop_app.runs.parity.LARGEST_LOSS", -0.5)
    shutil.copytree(exports[0] / "onnx", tmp_path / "x")
    before = {f.name: f.read_bytes() for f in (tmp_path / "x").iterdir()}
    with pytest.raises(ExportError, match="refused: its error on validation windows is .*above"):
        export_run(
            Run(forecaster=forecaster).on(weather), tmp_path / "x", to="onnx-int8", force=True
        )
    assert {f.name: f.read_bytes() for f in (tmp_path / "x").iterdir()} == before
    assert [f.name for f in tmp_path.iterdir()] == ["x"]


def test_an_export_that_forecasts_no_number_is_refused(forecaster, tmp_path, monkeypatch):
    nothing = np.full((5, 12, 3), np.nan, dtype="f4")
    monkeypatch.setattr(ExportedForecaster, "predict_windows", lambda self, x: nothing[: len(x)])
    with pytest.raises(ExportError, match="refused: its forecasts differ by inf"):
        export_run(Run(forecaster=forecaster), tmp_path / "x", to="torch-export")
    assert not list(tmp_path.iterdir())


def test_the_onnx_folder_forecasts_without_torch(exports, trained, forecaster):
    """Through the command line, where importing torch fails."""
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from stanhop_app.cli import main; main(sys.argv[1:])"
    )
    command = [
        sys.executable,
        "-c",
        program,
        "forecast",
        str(exports[0] / "onnx"),
        "--horizon",
        "20",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 21
    wanted = forecaster.predict(horizon=20).iloc[-1]
    assert [float(v) for v in lines[-1].split(",")[1:]] == pytest.approx(list(wanted), rel=1e-4)


def test_no_file_holds_a_pickle(exports, stored):
    assert np.load(stored(exports[0] / "onnx", "context.npy"), allow_pickle=False).shape == (36, 3)
    with zipfile.ZipFile(stored(exports[0] / "torch-export", "model.pt2")) as archive:
        pickles = [i for i in archive.infolist() if i.filename.endswith((".pt", ".pkl"))]
        assert all(i.file_size == 0 for i in pickles)
        assert not any("part" in name for name in archive.namelist())


def forge_export(folder, forge, name, content):
    """Another file in an export, all checksums right."""
    told = json.loads((folder / "config.json").read_text())["sha256"]
    forge(folder, sha256={**told, name: forge.put(folder, name, content)})


@pytest.mark.parametrize("how", ["member", "flag", "object", "twice"])
def test_an_archive_that_would_be_unpickled_is_refused(
    exports, tmp_path, how, recwarn, stored, forge
):
    """torch.export.load runs what such an archive holds; this one would write a file."""

    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    folder = tmp_path / "x"
    shutil.copytree(exports[0] / "torch-export", folder)
    path = stored(folder, "model.pt2")
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    payload = io.BytesIO()
    torch.save(Attack(), payload)
    root = next(iter(entries)).split("/")[0]
    config = f"{root}/data/weights/model_weights_config.json"
    weights = json.loads(entries[config])
    first = next(iter(weights["config"].values()))
    if how == "member":
        entries[f"{root}/data/sample_inputs/model.pt"] = payload.getvalue()
    elif how == "flag":
        first["use_pickle"] = True
        entries[f"{root}/data/weights/{first['path_name']}"] = payload.getvalue()
    elif how == "object":
        first["path_name"] = "opaque_obj_0"
    entries[config] = json.dumps(weights).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        if how == "twice":
            archive.writestr(config, entries[config])
    forge_export(folder, forge, "model.pt2", path.read_bytes())
    with pytest.raises(ArtefactError, match="could run code|two entries of one name"):
        ExportedForecaster.load(folder, trust=True)
    assert not (tmp_path / "owned").exists()


def test_a_program_of_torch_is_not_read_unless_it_is_trusted(exports, stanhop, monkeypatch):
    """Its checksums say nothing: who wrote the program wrote them too."""
    folder = exports[0] / "torch-export"
    monkeypatch.setattr(torch.export, "load", lambda *a, **o: pytest.fail("torch saw it"))
    with pytest.raises(ArtefactError, match="can run code of whoever wrote it.*trust=True"):
        ExportedForecaster.load(folder)
    code, out, err = stanhop("forecast", folder)
    assert (code, out) == (4, "")
    assert "--trust" in err
    monkeypatch.undo()
    code, out, _ = stanhop("forecast", folder, "--trust")
    assert (code, len(out.splitlines())) == (0, 13)


def test_exports_are_verified(exports, stanhop):
    modes = {
        p.stat().st_mode & 0o777
        for to in ("onnx", "torch-export")
        for p in (exports[0] / to).iterdir()
    }
    assert len(modes) == 1  # the umask's
    assert modes != {0o600}
    assert stanhop("verify", exports[0] / "onnx")[0] == 0
    code, _, err = stanhop("verify", exports[0] / "torch-export")
    assert (code, "--trust" in err) == (4, True)
    assert stanhop("verify", exports[0] / "torch-export", "--trust")[0] == 0


@pytest.mark.parametrize("where", ["../secret.bin", "beside.bin"])
def test_data_outside_of_an_onnx_file_is_not_read(exports, tmp_path, where, stored, forge):
    """Onnxruntime up to 1.23 read it wherever it lay."""
    folder = tmp_path / "export"
    shutil.copytree(exports[0] / "onnx", folder)
    path = stored(folder, "model.onnx")
    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.raw_data)
    (folder / where).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=where)
    forge_export(folder, forge, "model.onnx", model.SerializeToString())
    with pytest.raises(ArtefactError, match="names data outside of itself"):
        ExportedForecaster.load(folder)


def test_an_association_that_cannot_be_exported_is_named(weather, tmp_path, monkeypatch):
    def stubborn(scores, dim=-1):
        return scores.softmax(dim) if scores.detach().sum().item() > -1e30 else scores

    law = Association(function=stubborn, conjugate=torch.logsumexp, shift_invariant=True)
    monkeypatch.setitem(ASSOCIATIONS, "stubborn", law)
    forecaster = fitted(weather, association="stubborn")
    for to, hint in (("onnx", "try --to torch-export"), ("torch-export", "train with association")):
        with pytest.raises(
            ExportError, match=f"association 'stubborn' cannot be .*data-dependent.*{hint}"
        ):
            export_run(Run(forecaster=forecaster), tmp_path / to, to=to)
        assert not (tmp_path / to / "config.json").exists()


def test_damage_is_named(exports, tmp_path, stanhop, stored, forge):
    def fresh():
        shutil.rmtree(tmp_path / "x", ignore_errors=True)
        return shutil.copytree(exports[0] / "onnx", tmp_path / "x")

    def assert_damaged(folder, message):
        code, out, err = stanhop("forecast", folder)
        assert (code, out) == (4, "")
        assert message in err
        assert "ArtefactError" not in err
        assert "Traceback" not in err

    folder = fresh()
    path = stored(folder, "model.onnx")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert_damaged(folder, "checksum does not match config.json")
    forge_export(folder, forge, "model.onnx", b"not a model")
    assert_damaged(folder, "onnxruntime cannot read it")
    folder = fresh()
    path = stored(folder, "context.npy")
    path.unlink()
    assert_damaged(folder, f"{path.name}: cannot be read (No such file")
    folder = fresh()
    forge(folder, kind="../../elsewhere")
    assert_damaged(folder, "damaged")
    folder = fresh()
    with pytest.raises(ArtefactError, match="is an exported model"):
        STanHopForecaster.load(folder)
    (folder / "config.json").write_text('{"format": []}')
    assert_damaged(folder, "not an artefact of stanhop")


@pytest.mark.parametrize(
    ("name", "value"), [("lookback", 1), ("lookback", 49), ("horizon", 1), ("horizon", 13)]
)
def test_sizes_that_do_not_fit_the_model_are_refused(exports, tmp_path, forge, name, value):
    """They once reached the runtime, whose error was taken for a defect of ours."""
    folder = tmp_path / "altered"
    shutil.copytree(exports[0] / "onnx", folder)
    parameters = json.loads((folder / "config.json").read_text())["parameters"]
    forge(folder, parameters={**parameters, name: value})
    with pytest.raises(ArtefactError, match=r"config.json: does not fit the model"):
        load_forecaster(folder)


def test_an_export_is_kept_unless_forced(forecaster, exports, tmp_path):
    root, _ = exports
    with pytest.raises(ValueError, match="exists; choose another --output, or --force"):
        export_run(Run(forecaster=forecaster), root / "torch-export", to="onnx")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files"):
        export_run(Run(forecaster=forecaster), tmp_path, to="onnx", force=True)
    assert [f.name for f in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_missing_is_said(forecaster, weather, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="onnx, onnx-int8, torch-export, got 'coreml'"):
        export_run(Run(forecaster=forecaster), tmp_path / "x", to="coreml")
    with pytest.raises(ValueError, match="calibrated on training rows"):
        export_run(Run(forecaster=forecaster), tmp_path / "x", to="onnx-int8")
    layer = nn.Sequential(nn.Linear(3, 2))
    export_onnx(layer, torch.randn(2, 3), tmp_path / "a.onnx")
    with pytest.raises(ExportError, match="without data"):
        quantize_onnx(tmp_path / "a.onnx", tmp_path / "b.onnx", [])
    export_onnx(nn.Softmax(-1), torch.randn(2, 3), tmp_path / "c.onnx")
    with pytest.raises(ExportError, match="no linear layer"):
        quantize_onnx(tmp_path / "c.onnx", tmp_path / "d.onnx", [np.zeros((2, 3), "f4")])
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExportError, match="^the export needs onnxscript.*stanhop-app\\[export\\]"):
        export_run(Run(forecaster=forecaster), tmp_path / "e", to="onnx")
    assert not (tmp_path / "e").exists()


def test_a_program_takes_any_batch(tmp_path):
    layer = nn.Sequential(nn.Linear(3, 2), nn.GELU())
    export_program(layer, torch.randn(2, 3), tmp_path / "a.pt2")
    module, x = torch.export.load(tmp_path / "a.pt2").module(), torch.randn(9, 3)
    torch.testing.assert_close(module(x), layer(x))


def test_the_command_exports_and_tells_what_it_checked(stanhop, trained, csv, tmp_path):
    folder = tmp_path / "out"
    code, out, err = stanhop("export", trained, csv, "--to", "onnx-int8", "-o", folder, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["kind"] == "onnx-int8"
    assert report["errors"]["validation"]["export"] == pytest.approx(
        report["errors"]["validation"]["network"], rel=0.011
    )
    code, out, _ = stanhop("forecast", folder, csv)
    assert (code, len(out.splitlines())) == (0, 13)
    code, _, err = stanhop("export", trained, csv, "-o", folder)
    assert (code, "or --force" in err) == (2, True)
    code, _, err = stanhop("export", trained, "--to", "onnx-int8", "-o", tmp_path / "y")
    assert (code, "rows that" in err) == (0, True)  # the run keeps its table
    code, _, err = stanhop("evaluate", folder, csv)
    assert (code, "is an exported model" in err) == (4, True)


def test_an_export_is_of_the_fit_and_not_of_options_that_were_changed_since(weather, tmp_path):
    forecaster = fitted(weather)
    before = forecaster.predict()
    forecaster.set_params(lookback=24, horizon=3)
    export_run(Run(forecaster=forecaster), tmp_path / "x", to="torch-export")
    exported = ExportedForecaster.load(tmp_path / "x", trust=True)
    pd.testing.assert_frame_equal(exported.predict(), before, rtol=1e-4)
