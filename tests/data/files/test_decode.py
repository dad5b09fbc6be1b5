"""Decoding of single files, of every mode, and of files that are not images."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image

from uota.data.files.decode import UnreadableError, read_header, read_image


def save(image: Image.Image, path, **options):
    image.save(path, **options)
    return path


def test_a_plain_image_keeps_its_pixels(write, tmp_path):
    path = write("a.png", size=(12, 10))
    image = read_image(path)
    assert image.shape == (3, 10, 12)
    assert image.dtype == torch.uint8
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(path)))
    assert read_header(path) == (10, 12, False, False)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_equals_what_pillow_decodes(write, mode, channels):
    path = write("a.JPEG", size=(40, 30), mode=mode, quality=95, subsampling=0)
    image = Image.open(path)
    image.draft({1: "L", 3: "RGB"}[channels], image.size)  # the luminance in the file, not that of clipped colours
    ours, theirs = read_image(path, channels), np.asarray(image.convert({1: "L", 3: "RGB"}[channels]))
    assert ours.shape == (channels, 30, 40)
    assert np.abs(ours.permute(1, 2, 0).squeeze(-1).numpy().astype(int) - theirs.astype(int)).max() <= 2


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_upright(tmp_path, extension, orientation):
    noise = np.zeros((16, 24, 3), dtype=np.uint8)
    noise[:8, :8] = 255  # marks the first corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(Image.fromarray(noise), tmp_path / f"a.{extension}", exif=exif)
    image = read_image(path)
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert image.shape == ((3, 16, 24) if orientation < 5 else (3, 24, 16))
    assert (image[:, *corner[orientation]] > 200).all()
    assert (image.float().mean() - 255 / 6).abs() < 6


def test_transparency_shows_the_background(tmp_path):
    clear = np.zeros((4, 6, 4), dtype=np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    path = save(Image.fromarray(clear), tmp_path / "a.png")
    image = read_image(path)
    assert image[:, 0, 0].tolist() == [10, 20, 30]
    assert (image[:, 1:] == 255).all()
    assert read_image(path, background=(9, 8, 7))[:, 1, 1].tolist() == [9, 8, 7]
    assert read_image(path, channels=1, background=(9, 9, 9)).shape == (1, 4, 6)


def test_half_transparency_mixes(tmp_path):
    path = save(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), tmp_path / "a.png")
    assert (read_image(path).int() - 127).abs().max() <= 1


@pytest.mark.parametrize("mode", ["LA", "P", "RGB", "L", "1"])
def test_transparency_of_other_modes(tmp_path, mode):
    """A black image whose black is transparent is all background."""
    options = {} if mode == "LA" else {"transparency": (0, 0, 0) if mode == "RGB" else 0}
    image = Image.new(mode, (4, 4), (0, 0) if mode == "LA" else 0)
    assert (read_image(save(image, tmp_path / "a.png", **options), background=(50, 50, 50)) == 50).all()


def test_a_palette_with_partial_transparency(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    path = save(image, tmp_path / "a.png", transparency=bytes([255, 0]))
    assert read_image(path)[:, 0].T.tolist() == [[255, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_of_16_bits_is_scaled_not_clipped(tmp_path, channels):
    values = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    for extension in ("png", "tiff"):
        image = read_image(save(Image.fromarray(values), tmp_path / f"a.{extension}"), channels)
        assert image[0, 0].tolist() == [0, 1, 128, 255]
        assert image.shape == (channels, 1, 4)


def test_grey_of_32_bits_and_floats(tmp_path):
    whole = Image.fromarray(np.array([[0, 65536, 131072]], dtype=np.int32))
    assert read_image(save(whole, tmp_path / "a.tiff"), pixel_range=(0, 131072))[0, 0].tolist() == [0, 128, 255]
    floats = Image.fromarray(np.array([[0.0, 0.5, np.nan, np.inf]], dtype=np.float32))
    assert read_image(save(floats, tmp_path / "b.tiff"))[0, 0].tolist() == [0, 128, 0, 0]
    assert read_image(save(Image.new("F", (3, 2)), tmp_path / "c.tiff")).sum() == 0


@pytest.mark.parametrize("extension", ["jpg", "tiff"])
def test_cmyk(tmp_path, extension):
    path = save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / f"a.{extension}")
    image = read_image(path).float()
    assert (image[0] > 220).all()
    assert (image[1:] < 50).all()


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "tiff"])
def test_the_first_frame_of_an_animation(tmp_path, extension):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    path = save(frames[0], tmp_path / f"a.{extension}", save_all=True, append_images=frames[1:])
    image = read_image(path).float()
    assert (image[0] > 240).all()
    assert (image[1:] < 10).all()


def test_black_and_white(tmp_path):
    image = Image.fromarray(np.array([[True, False]]))
    assert read_image(save(image, tmp_path / "a.png"), 1)[0, 0].tolist() == [255, 0]


def test_the_content_decides_not_the_extension(tmp_path):
    path = save(Image.new("RGB", (5, 4), "red"), tmp_path / "a.jpg", format="png")
    assert (read_image(path)[0] == 255).all()


@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_max_side_shrinks_and_never_enlarges(write, extension):
    path = write(f"a.{extension}", size=(40, 10))
    assert read_image(path, max_side=20).shape == (3, 5, 20)
    assert read_image(path, max_side=1).shape == (3, 1, 1)
    assert torch.equal(read_image(path, max_side=40), read_image(path))
    assert read_header(path, max_side=20)[:2] == (5, 20)


@pytest.mark.parametrize("size", [(40, 2), (2, 40), (20, 20), (3, 1)])
def test_shrinking_to_a_line_or_a_dot_keeps_the_mean(tmp_path, size):
    image = read_image(
        save(Image.new("RGB", size, (200, 100, 50)), tmp_path / "a.png"), max_side=max(1, max(size) // 20)
    )
    assert min(image.shape[1:]) == 1
    assert (image.flatten(1).float().mean(1) - torch.tensor([200.0, 100, 50])).abs().max() <= 1


def test_shrinking_agrees_with_pillows_antialiasing(write):
    path = write("a.png", size=(64, 48))
    theirs = np.asarray(Image.open(path).resize((16, 12), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(read_image(path, max_side=16).permute(1, 2, 0).numpy() - theirs).max() <= 1


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "webp", "bmp", "tiff"])
def test_half_a_file_is_unreadable(write, extension):
    path = write(f"a.{extension}", size=(64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableError, match=r"a\."):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0" + bytes(50), b"GIF89a", b"text", bytes(99)])
def test_a_file_that_is_not_an_image_is_unreadable(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableError):
        read_image(path)
    with pytest.raises(UnreadableError):
        read_header(path)


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + bytes(4)
        + b"IDAT"
        + bytes(4)
    )


def test_decompression_bombs_are_refused_before_they_expand(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(60000, 60000))
    jpeg = io.BytesIO()
    Image.new("L", (8, 8)).save(jpeg, "jpeg")
    data = bytearray(jpeg.getvalue())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 65000, 65000)
    (tmp_path / "b.jpg").write_bytes(data)
    for name in ("a.png", "b.jpg"):
        for read in (read_image, read_header):
            with pytest.raises(UnreadableError, match="pixels"):
                read(tmp_path / name)


def test_damaged_bytes_never_raise_anything_else(write):
    """However a file is damaged, it is an image or unreadable."""
    rng = np.random.default_rng(0)
    for extension in ("png", "gif", "webp", "bmp", "tiff"):
        whole = write(f"a.{extension}", size=(24, 20)).read_bytes()
        for _ in range(30):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), 5):
                data[place] = rng.integers(0, 256)
            path = write(f"b.{extension}")
            path.write_bytes(data)
            with suppress(UnreadableError):
                assert read_image(path).dtype == torch.uint8
