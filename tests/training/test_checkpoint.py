"""Files that survive."""

import pytest
import torch
from torch import nn

from stanhop_app.errors import ArtefactError
from stanhop_app.files import sha256, write_atomic, write_csv, write_json
from stanhop_app.training.checkpoint import (
    load_optimizer,
    load_tensors,
    load_weights,
    optimizer_tensors,
    save_tensors,
    with_prefix,
    without_prefix,
)


def test_tensors_and_header_come_back_to_the_bit(tmp_path):
    tensors = {
        "a": torch.randn(3, 4),
        "b": torch.arange(5),
        "c": torch.randn(2, 2, dtype=torch.float64).T,
    }
    save_tensors(tmp_path / "x.safetensors", tensors, {"n": 1, "list": [1, None]})
    loaded, header = load_tensors(tmp_path / "x.safetensors")
    assert header == {"n": 1, "list": [1, None]}
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    before = path.read_text()

    def fail(file):
        file.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, fail)
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_csv_has_a_header_and_a_line_a_row(tmp_path):
    write_csv(tmp_path / "h.csv", [{"a": 1, "b": 2.5}, {"a": 2, "b": 3.5}])
    assert (tmp_path / "h.csv").read_text().split() == ["a,b", "1,2.5", "2,3.5"]


@pytest.mark.parametrize("content", [b"", b"not tensors", b"\x80\x04pickle."])
def test_what_is_no_tensor_file_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"x.safetensors: damaged"):
        load_tensors(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtefactError, match=r"y.safetensors: no such file"):
        load_tensors(tmp_path / "y.safetensors")


def test_prefixes_come_off_as_they_went_on():
    tensors = {"a.b": torch.ones(1)}
    both = {**with_prefix("x", tensors), **with_prefix("xy", tensors)}
    assert without_prefix("x", both).keys() == tensors.keys()


def test_an_optimiser_goes_on_to_the_bit():
    def run(steps, optimizer, model):
        for step in range(steps):
            optimizer.zero_grad()
            model(torch.full((2, 3), float(step))).square().sum().backward()
            optimizer.step()

    one, two = nn.Linear(3, 2), nn.Linear(3, 2)
    first = torch.optim.AdamW(one.parameters())
    run(3, first, one)
    two.load_state_dict(one.state_dict())
    second = torch.optim.AdamW(two.parameters())
    load_optimizer(second, {k: v.clone() for k, v in optimizer_tensors(first).items()})
    run(3, first, one)
    run(3, second, two)
    assert torch.equal(one.weight, two.weight)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ArtefactError, match="f: weights do not fit"):
        load_weights(nn.Linear(3, 2), {"weight": torch.ones(2, 4)}, "f")


def test_sha256_is_the_known_one(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")
