"""Images by name and from folders."""

import numpy as np
import pytest
from PIL import Image
from stanhop_app.datasets.images import load_images

from stanhop_app.errors import DataError


def test_digits_are_those_of_scikit_learn():
    found = load_images("digits")
    assert found.pixels.shape == (1797, 1, 8, 8)
    assert found.pixels.dtype == np.uint8
    assert (found.pixels.min(), found.pixels.max()) == (0, 255)
    assert found.classes == tuple("0123456789")
    assert list(found.labels[:5]) == [0, 1, 2, 3, 4]


def save(path, size, mode="L", value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 255)).save(path)


def test_a_folder_of_folders(tmp_path):
    save(tmp_path / "cat" / "a.png", (6, 4))
    save(tmp_path / "dog" / "b.png", (6, 4), value=7)
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    (tmp_path / "__MACOSX").mkdir()
    found = load_images(str(tmp_path))
    assert found.pixels.shape == (2, 1, 4, 6)
    assert found.classes == ("cat", "dog")
    assert [int(found.pixels[i].max()) for i in range(2)] == [100, 7]
    save(tmp_path / "dog" / "c.png", (6, 4), "RGB")
    assert load_images(str(tmp_path)).pixels.shape == (3, 3, 4, 6)


def test_what_cannot_be_loaded_is_said(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load_images(str(tmp_path / "none"))
    with pytest.raises(DataError, match="holds no images"):
        load_images(str(tmp_path))
    save(tmp_path / "a" / "1.png", (4, 4))
    save(tmp_path / "a" / "2.png", (5, 4))
    with pytest.raises(DataError, match=r"2\.png: is 5 x 4 pixels, 1\.png is 4 x 4"):
        load_images(str(tmp_path))
    Image.new("I;16", (4, 4), 1000).save(tmp_path / "a" / "2.png")
    with pytest.raises(DataError, match=r"2\.png: has more than 8 bits"):
        load_images(str(tmp_path))
    (tmp_path / "a" / "2.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"2\.png: cannot be read"):
        load_images(str(tmp_path))
