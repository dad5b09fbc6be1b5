"""The image formats that are read: an explicit list of those that Pillow decodes without starting other programs."""

from functools import cache
from importlib.util import find_spec

from PIL import Image

# Formats by extension. EPS is not one of them, because Pillow passes it to a PostScript interpreter.
FORMAT_OF_EXTENSION = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    ".tga": "TGA",
    ".avif": "AVIF",
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"), "JPEG2000"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
}
EXTENSIONS = tuple(FORMAT_OF_EXTENSION)
# DIB is a BMP without its file header.
FORMATS = (*dict.fromkeys(FORMAT_OF_EXTENSION.values()), "DIB")
# What to install for formats that cannot be read.
REMEDIES = {"HEIF": "pip install 'uota[heif]'", "AVIF": "pip install 'pillow>=11.3'"}
# Extensions of files that often accompany images: they are counted without reading their content.
ACCOMPANYING = {
    *(".txt", ".json", ".jsonl", ".xml", ".csv", ".tsv", ".yaml", ".yml", ".md", ".html", ".htm", ".log", ".py", ".sh"),
    *(".pdf", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".parquet", ".arrow", ".npy", ".npz"),
    *(".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".pkl", ".h5", ".hdf5", ".mat", ".db", ".sqlite", ".lmdb"),
    *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".mp3", ".wav", ".ogg", ".flac"),
    *(".part", ".tmp", ".crdownload", ".ini", ".xmp", ".thm", ".index"),
}
# Other picture formats by extension; camera raw files begin like TIFF, but what Pillow decodes is a preview.
OTHER_EXTENSIONS = {
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"), "camera raw"),
    **dict.fromkeys((".eps", ".ps", ".ai"), "PostScript"),
    **dict.fromkeys((".nii", ".mha", ".nrrd"), "medical volume"),
    ".svg": "SVG",
    ".dcm": "DICOM",
    ".psd": "Photoshop",
    ".xcf": "GIMP",
    ".exr": "OpenEXR",
    ".hdr": "Radiance",
    ".jxl": "JPEG XL",
}
# First bytes of other picture formats, for messages about files that are not read.
PICTURES = {
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"8BPS": "Photoshop",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance",
    b"SIMPLE  =": "FITS",
    b"<svg": "SVG",
    b"gimp xcf": "GIMP",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"FUJIFILM": "camera raw",
    b"IIRO": "camera raw",
    b"DDS ": "DirectDraw",
}
HEAD = 132  # bytes needed to recognise a format; the mark of DICOM follows 128 others


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats that can be read here; HEIC is one of them if pillow-heif is installed."""
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def format_of_content(head: bytes) -> str | None:
    """The format of an image by its first bytes, whether or not it can be read here; None if it is not an image.

    Args:
        head: the first `HEAD` bytes of a file.
    """
    if head[4:8] == b"ftyp":
        brands = head[8:HEAD]
        if b"avif" in brands:
            return "AVIF"
        return "HEIF" if any(brand in brands for brand in (b"heic", b"heix", b"mif1", b"heim", b"hevc")) else None
    for name in readable_formats():
        accepts = Image.OPEN[name][1]
        if accepts is not None and accepts(head[:16].ljust(16, b"\0")) is True:
            return name
    return None


def kind_of_picture(head: bytes) -> str | None:
    """The picture format of a file that is not read, such as PostScript or DICOM; None if it is unknown."""
    if head[128:132] == b"DICM":
        return "DICOM"
    return next((kind for mark, kind in PICTURES.items() if head.startswith(mark)), None)
