"""Which image files are read: an explicit list of Pillow's formats, of which none starts another program."""

from functools import cache
from importlib.util import find_spec

from PIL import Image

# By their endings. EPS is not among them: Pillow hands it to an interpreter of PostScript.
ENDINGS = {
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
EXTENSIONS = tuple(ENDINGS)
# DIB is a BMP without its file header.
FORMATS = (*dict.fromkeys(ENDINGS.values()), "DIB")
# What a person has to install, where a format cannot be read.
REMEDIES = {"HEIF": "pip install 'uota[heif]'", "AVIF": "pip install 'pillow>=11.3'"}
# Endings of files that lie beside images and are none: they are counted, and not looked into.
BESIDE = {
    *(".txt", ".json", ".jsonl", ".xml", ".csv", ".tsv", ".yaml", ".yml", ".md", ".html", ".htm", ".log", ".py", ".sh"),
    *(".pdf", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".parquet", ".arrow", ".npy", ".npz"),
    *(".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".pkl", ".h5", ".hdf5", ".mat", ".db", ".sqlite", ".lmdb"),
    *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".mp3", ".wav", ".ogg", ".flac"),
    *(".part", ".tmp", ".crdownload", ".ini", ".xmp", ".thm", ".index"),
}
# Pictures of other kinds by their endings; what is in raw files of cameras looks like TIFF, and is a preview.
OTHER_ENDINGS = {
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
# How the content of other kinds of picture begins, for what is said of files that are not read.
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
HEAD = 132  # bytes that tell a kind; DICOM has its mark behind 128 others


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats that can be read here; pillow-heif adds HEIC, where it is installed."""
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def format_of_content(head: bytes) -> str | None:
    """The format of an image by its first bytes, whether or not it can be read here; None: it is no image.

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
    """What a file that cannot be read is a picture of, such as PostScript or DICOM; None: it is none that is known."""
    if head[128:132] == b"DICM":
        return "DICOM"
    return next((kind for mark, kind in PICTURES.items() if head.startswith(mark)), None)
