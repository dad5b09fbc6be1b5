"""Pixels are read alike from files and from memory, with one range from black to white per source."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from tests.hostile.conftest import fill, named, noise

from uota import UotaError, inspect
from uota.data import FolderOptions, open_source
from uota.data.files.decode import UnreadableError, decode_image, read_header, read_image
from uota.data.files.pixel_range import estimate_pixel_range
from uota.data.memory import SequenceSource, as_image
from uota.settings.ranges import check_pixel_range

RANDOM = np.random.default_rng(0)


def turned():
    picture = noise(1, (20, 10))
    picture.getexif()[0x0112] = 6
    return picture


def clear(mode):
    picture = noise(2).convert(mode)
    picture.putalpha(Image.fromarray((np.arange(32 * 32) % 256).astype(np.uint8).reshape(32, 32)))
    return picture


def deep(mode, low=0, high=65535):
    values = np.linspace(low, high, 32 * 32).reshape(32, 32)
    return Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))


# Pictures, and an extension of a lossless format for each.
PICTURES = {
    **{mode: (noise(3).convert(mode), "png") for mode in ("1", "L", "P", "RGB")},
    "CMYK": (noise(3).convert("CMYK"), "tif"),
    "LA": (clear("L"), "png"),
    "RGBA": (clear("RGB"), "png"),
    "clear palette": (clear("RGB").quantize(16), "png"),
    "turned": (turned(), "png"),
    "16 bits": (deep("I;16"), "png"),
    "12 bits": (deep("I;16", 0, 4095), "png"),
    "signed": (deep("I", -1000, 3000), "tif"),
    "kelvin": (deep("F", 270, 310), "tif"),
    "unit floats": (deep("F", 0, 1), "tif"),
    "palette": (noise(4).quantize(8), "gif"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_file_and_its_pixels_in_memory_are_read_alike(tmp_path, kind):
    picture, ending = PICTURES[kind]
    for number in range(3):
        picture.save(tmp_path / f"{number}.{ending}", **({"exif": picture.getexif()} if kind == "turned" else {}))
    files = open_source(tmp_path)
    with Image.open(tmp_path / f"0.{ending}") as opened:
        opened.load()
        memory = SequenceSource([opened, opened, opened])
    paths = SequenceSource([tmp_path / f"{number}.{ending}" for number in range(3)])
    ours, theirs, listed = files.images([0])[0], memory.images([0])[0], paths.images([0])[0]
    assert torch.equal(ours, theirs)
    assert torch.equal(ours, listed)
    assert files.pixel_range == memory.pixel_range or kind == "unit floats"
    assert len(ours.unique()) > (1 if kind == "1" else 4)


ARRAYS = {
    "bool": (RANDOM.random((8, 8)) > 0.5, lambda x: 255.0 * x),
    "uint8": (RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8), lambda x: x.astype(float)),
    "grey with a channel": (RANDOM.integers(0, 256, (8, 8, 1), dtype=np.uint8), lambda x: x[..., 0].astype(float)),
    "uint16": (np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8), lambda x: x / 65535 * 255),
    "12 bits": (np.arange(0, 4096, 64, dtype=np.uint16).reshape(8, 8), lambda x: x / 4095 * 255),
    "int32 of bytes": (RANDOM.integers(0, 256, (8, 8), dtype=np.int32), lambda x: x.astype(float)),
    "int64 of 16 bits": (np.arange(0, 65536, 1024).reshape(8, 8), lambda x: x / 65535 * 255),
    "float32": (RANDOM.random((8, 8, 3), dtype=np.float32), lambda x: x * 255.0),
    "float64": (RANDOM.random((8, 8, 3)), lambda x: x * 255.0),
    "float16": (RANDOM.random((8, 8)).astype(np.float16), lambda x: x.astype(float) * 255),
    "floats of bytes": (RANDOM.integers(0, 256, (8, 8)).astype(np.float32), lambda x: x.astype(float)),
    "an overshoot": (np.linspace(-0.05, 1.05, 64).reshape(8, 8), lambda x: x.clip(0, 1) * 255),
}


@pytest.mark.parametrize("form", ["array", "tensor", "list of a tensor and a label"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_numbers_of_any_dtype_are_scaled_without_overflow(kind, form):
    pixels, reference = ARRAYS[kind]
    item = pixels
    if form != "array":
        if pixels.dtype == np.uint16:
            pytest.skip("torch has few operations on uint16")
        item = torch.from_numpy(pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())
    source = SequenceSource([item] * 3 if form != "list of a tensor and a label" else [[item, 7]] * 3)
    found = source.images([1])[0].double().permute(1, 2, 0).numpy()
    expected = np.broadcast_to(np.atleast_3d(reference(pixels)), found.shape)
    assert np.abs(found - expected).max() <= 0.51 + (kind == "float16")


@pytest.mark.parametrize("channels", [2, 4], ids=["grey and alpha", "RGB and alpha"])
def test_transparent_arrays_are_composited_on_white(channels):
    pixels = np.zeros((4, 4, channels), dtype=np.uint8)
    assert (as_image(pixels) == 255).all()
    pixels[..., -1] = 255
    assert (as_image(pixels) == 0).all()


NO_PICTURES = {
    "normalised": (torch.rand(3, 8, 8) - 0.5) / 0.25,
    "NaN": np.full((8, 8), np.nan), "infinite": np.full((8, 8), np.inf), "complex": np.zeros((8, 8), complex),
    "text": np.full((8, 8), "x"), "objects": np.full((8, 8), None), "none": None, "a number": 3,
    "a word": "nowhere.png",
    "an empty list": [], "empty": np.zeros((0, 8), np.uint8), "a line": np.zeros(8, np.uint8),
    "five channels": np.zeros((8, 8, 5), np.uint8), "a clip": np.zeros((2, 8, 8, 3), np.uint8),
    "a tensor of four channels": torch.zeros(4, 8, 8, dtype=torch.uint8), "a batch": torch.zeros(1, 3, 8, 8),
    "a tensor of the wrong order": torch.zeros(8, 8, 3, dtype=torch.uint8), "a mapping": {"x": 1}, "a set": {1},
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_PICTURES)
def test_an_invalid_picture_is_a_clear_error(kind, impatient):
    with pytest.raises(UotaError):
        SequenceSource([NO_PICTURES[kind]] * 4).images([0])
    with pytest.raises(UotaError):
        inspect([NO_PICTURES[kind]] * 4, eyes="thumbnails", steps=0)


@pytest.mark.parametrize("mean", [0.2, 0.485, 0.8])
def test_normalised_pictures_are_refused(mean):
    pictures = (torch.rand(8, 3, 8, 8) - mean) / 0.25
    with pytest.raises(UotaError, match=r"Normalize"):
        SequenceSource(pictures).images(range(8))


@pytest.mark.parametrize("pictures", [3, None, "", {"a": 1}, iter([1]), object()])
def test_an_invalid_dataset_is_a_clear_error(pictures):
    if pictures is None or pictures == "":
        pytest.skip("these stand for demo-scenes and for a folder")
    with pytest.raises(UotaError, match=r"images cannot be taken from .* by number"):
        inspect(pictures, eyes="thumbnails", steps=0)


class Dataset(list):
    def __init__(self, targets, classes=None):
        super().__init__([noise(n, (8, 8)) for n in range(6)])
        self.targets, self.classes = targets, classes


@pytest.mark.parametrize(
    ("targets", "labels"),
    [([0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 2]), (torch.tensor([0, 1] * 3), [0, 1] * 3), (["b", "a"] * 3, [1, 0] * 3),
     (np.array([0, 1] * 3), [0, 1] * 3), ([0, -1, 1, 0, -5, 1], [0, -1, 1, 0, -1, 1]), ([-1] * 6, None),
     ([f"{n}.xml" for n in range(6)], None),
     ([{"boxes": 1}] * 6, None), ([0, 1], None), ([None] * 6, None), ([0.5] * 6, None), ([10**30] * 6, None),
     (torch.zeros(6, 3), None), ([[0, 1]] * 6, None), ([True] * 6, None), ((n for n in range(6)), [0, 1, 2, 3, 4, 5])],
)  # fmt: skip
def test_targets_are_labels_if_they_are_classes(targets, labels):
    source = SequenceSource(Dataset(targets))
    assert (source.labels if source.labels is None else source.labels.tolist()) == labels
    lost = labels is None and not (isinstance(targets, list) and targets == [-1] * 6)
    assert bool(source.left_out.sentences()) == lost


RANGES = {
    "12 bits": ([np.arange(4096, dtype=np.uint16)], (0, 4095)),
    "a dim picture of 12 bits": ([np.arange(300, dtype=np.uint16)], (0, 511)),
    "bytes in 16 bits": ([np.arange(256, dtype=np.uint16)], (0, 255)),
    "16 bits": ([np.arange(65536, dtype=np.uint16)], (0, 65535)),
    "one of them dark": ([np.arange(9, dtype=np.uint16), np.arange(4096, dtype=np.uint16)], (0, 4095)),
    "kelvin": ([np.linspace(270, 310, 9999)], (270, 310)),
    "hundredths of kelvin": ([np.arange(27000, 31000, dtype=np.uint16)], (27000, 31000)),
    "signed": ([np.arange(-1000, 3000, dtype=np.int16)], (-1000, 3000)),
    "unit": ([np.random.default_rng(0).random(9999)], (0, 1)),
    "a missing value": ([np.r_[np.linspace(270, 310, 4095), 1e30]], (270, 310)),
    "a hot pixel": ([np.r_[np.arange(4095) % 900, 65535].astype(np.uint16)], (0, 1023)),
    "NaN": ([np.r_[np.linspace(270, 310, 4000), np.full(96, np.nan)]], (270, 310)),
    "all NaN": ([np.full(9, np.nan)], (0, 1)),
    "constant": ([np.full(9, 300.25)], (299.75, 300.75)),
    "a mask": ([np.array([0, 1, 1], np.int64)], (0, 1)),
    "bytes only": ([np.zeros(9, np.uint8)], None),
    "nothing": ([], None),
}


@pytest.mark.parametrize("kind", RANGES)
def test_the_pixel_range_is_estimated_from_several_images(kind):
    samples, expected = RANGES[kind]
    found = estimate_pixel_range(samples)
    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected, abs=0.002 * (expected[1] - expected[0]) if expected[0] else 0.5)


@pytest.mark.parametrize("kind", ["12 bits", "kelvin"])
def test_a_folder_has_one_pixel_range_and_keeps_its_grey_levels(tmp_path, kind):
    picture, ending = PICTURES[kind]
    values = np.asarray(picture).copy()
    for number in range(5):
        shown = values.copy()
        if number == 2:
            shown[0, 0] = 65535 if kind == "12 bits" else 1e30  # a placeholder for a missing value
        if number == 3:
            shown = (values - values.min()) * values.dtype.type(0.5) if kind == "kelvin" else values // 2
            shown = shown + values.min() if kind == "kelvin" else shown
        Image.fromarray(shown.astype(values.dtype)).save(tmp_path / f"{number}.{ending}")
    source = open_source(tmp_path)
    images = source.images(range(5))
    assert len(images[2].unique()) > 250
    assert images[3].float().mean() == pytest.approx(0.5 * images[0].float().mean(), abs=2)
    assert open_source(tmp_path, folder=FolderOptions(pixel_range=(0, 10**6))).images([0])[0].max() < 2


@pytest.mark.parametrize(
    "given", [(1, 0), (0, 0), (0, float("nan")), (0, float("inf")), (0,), (0, 1, 2), "ab", 3, "x", [None, 1]]
)
def test_invalid_pixel_ranges_are_refused(given):
    with pytest.raises(UotaError, match="pixel_range"):
        check_pixel_range(given)


def png(width, height, depth=8, colour=0):
    """Return a PNG of a few kB that decodes to width × height pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    packer, line = zlib.compressobj(1), bytes(1 + width * depth // 8 * (3 if colour == 2 else 1))
    packed = b"".join([*(packer.compress(line) for _ in range(min(height, 50))), packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BOMBS = {
    "16 bits": (9_500, 9_500, 16, 0), "a line of 89 megapixels": (89_000_000, 1), "a column": (1, 89_000_000),
    "RGB": (10_000, 10_000, 8, 2), "bits": (60_000, 60_000, 8, 0), "RGB of 16 bits": (9_500, 9_500, 16, 2),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_decompression_bombs_are_refused_by_their_headers(tmp_path, kind):
    (tmp_path / "x.png").write_bytes(png(*BOMBS[kind]))
    for read in (read_image, read_header):
        with pytest.raises(UnreadableError, match=r"pixels would take .*more than the 256 MB that --image-megabytes"):
            read(tmp_path / "x.png")


def test_the_limit_of_large_pictures_can_be_raised(tmp_path):
    data = png(20_000, 10, 8, 0)
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(UnreadableError, match="than the 1 MB"):
        read_image(tmp_path / "x.png", megabytes=1)
    assert read_image(tmp_path / "x.png", 1, megabytes=4).shape == (1, 10, 20_000)
    (tmp_path / "y.png").write_bytes(png(14_000, 14_000))  # above Pillow's own limit
    limit = Image.MAX_IMAGE_PIXELS
    assert read_header(tmp_path / "y.png", megabytes=4000)[:2] == (14_000, 14_000)
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "plain"])
@pytest.mark.parametrize("size", [100, 2_000_000, 100_000_000], ids=["short", "2 MB", "100 MB"])
def test_a_png_with_a_large_text_is_a_valid_picture(tmp_path, size, compressed):
    text = PngImagePlugin.PngInfo()
    if size > 10**7 and not compressed:
        pytest.skip("it would be written to the disk")
    text.add_text("workflow", "x" * size, zip=compressed)
    noise(5).save(tmp_path / "x.png", pnginfo=text)
    assert torch.equal(read_image(tmp_path / "x.png"), as_image(noise(5)))
    assert read_header(tmp_path / "x.png")[:2] == (32, 32)


def test_a_colour_profile_that_unpacks_to_megabytes_is_not_read():
    file = io.BytesIO()
    noise(6).save(file, "PNG")
    profile = b"profile\0\0" + zlib.compress(bytes(2**27))
    data = file.getvalue()
    with_profile = data[:33] + chunk(b"iCCP", profile) + data[33:]
    assert torch.equal(decode_image(np.frombuffer(with_profile, np.uint8)), as_image(noise(6)))


@pytest.mark.parametrize("damaged", [[], ["3.png"]], ids=["all readable", "one damaged"])
def test_a_list_of_paths_is_inspected_like_a_folder(tmp_path, damaged):
    fill(tmp_path, named("a", each=6))
    paths = [str(tmp_path / name) for name in named("a", each=6)]
    for name in damaged:
        (tmp_path / "a" / name).write_bytes(b"damaged")
    found = inspect(paths, eyes="thumbnails", steps=0)
    assert found.table.shape[1] == 6 - len(damaged)
    assert [path.name for path in found.subject.source.skipped] == damaged
    assert str(tmp_path / "a/0.png") in set(found.table.columns()["image"])


def test_a_missing_file_in_a_list_of_paths_is_named(tmp_path):
    paths = [str(path) for path in fill(tmp_path, named("a", each=6)).rglob("*.png")]
    with pytest.raises(UotaError, match=r"there is no file .*nowhere\.png"):
        inspect([*paths, "nowhere.png"], eyes="thumbnails", steps=0)
