"""Pixels: files to 8-bit grayscale, to the size of the store, to the square that an encoder sees."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from eclip.data.dicom import is_dicom, read_dicom
from eclip.errors import InputError

JPEG_QUALITY = 95
_REDUCING_GAP = 2.0  # a JPEG may be decoded at 1/2, 1/4, 1/8 as long as twice the wanted pixels remain


@dataclass(frozen=True, slots=True)
class Shrunk:
    """An image at the size of the store, and what its file tells.

    Attributes:
        pixels: Grayscale, uint8 (H, W).
        original_height: In pixels.
        original_width: In pixels.
        view: AP, PA, LATERAL, LL as the file's header tells it (DICOM), or "".
        sex: F, M, or "".
        age: Years, or None.
    """

    pixels: np.ndarray
    original_height: int
    original_width: int
    view: str = ""
    sex: str = ""
    age: int | None = None


def decode(source: bytes | str | Path) -> np.ndarray:
    """Decode an image (bytes or a file) to uint8 (H, W) grayscale, turned upright as its EXIF says.

    More than 8 bits a pixel are scaled from their own minimum and maximum to 0 … 255, as MIMIC-CXR-JPG did.
    DICOM is recognised by its content or suffix and decoded by `eclip.data.dicom`.

    Raises:
        InputError: Not an image that can be read.
    """
    return _read(source, None).pixels


def decode_shrunk(source: bytes | str | Path, shorter_side: int) -> Shrunk:
    """`decode` and `shrink` in one; large JPEGs are decoded at a fraction of their size, so faster.

    Raises:
        InputError: Not an image that can be read.
    """
    return _read(source, shorter_side)


def encode(image_HW: np.ndarray) -> bytes:
    """Encode uint8 (H, W) as a JPEG without metadata: same pixels, same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image_HW).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def shrink(image_HW: np.ndarray, shorter_side: int) -> np.ndarray:
    """Shrink uint8 (H, W) until its shorter side is `shorter_side` pixels, antialiased; never enlarge it."""
    width, height = shrunk_size(image_HW.shape[1], image_HW.shape[0], shorter_side)
    if (height, width) == image_HW.shape:
        return image_HW
    return np.asarray(Image.fromarray(image_HW).resize((width, height), Image.Resampling.LANCZOS))


def shrunk_size(width: int, height: int, shorter_side: int) -> tuple[int, int]:
    """(width, height) that `shrink` makes of an image."""
    scale = min(1.0, shorter_side / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit(image_HW: np.ndarray, size: int) -> np.ndarray:
    """Resize the centre square of uint8 (H, W) to (size, size), antialiased: what every encoder sees."""
    height, width = image_HW.shape
    if height == width == size:
        return image_HW
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    square = Image.fromarray(image_HW).resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    return np.asarray(square)


def fit_matrix(height: int, width: int) -> np.ndarray:
    """Map (x, y, 1) in fractions of an image to fractions of the square that `fit` keeps: (3, 3) float64."""
    side = min(height, width)
    return np.array(
        [
            [width / side, 0.0, -(width - side) / 2 / side],
            [0.0, height / side, -(height - side) / 2 / side],
            [0.0, 0.0, 1.0],
        ]
    )


def _read(source: bytes | str | Path, shorter_side: int | None) -> Shrunk:
    try:
        if not isinstance(source, bytes) and not Path(source).is_file():  # a pipe would keep us waiting
            raise InputError("no such file")
        if is_dicom(source):
            found = read_dicom(source)
            height, width = found.pixels.shape
            pixels = found.pixels if shorter_side is None else shrink(found.pixels, shorter_side)
            return Shrunk(pixels, height, width, view=found.view, sex=found.sex, age=found.age)
        with (
            # Given the name, Pillow maps a TIFF into memory, and turns it wrongly.
            io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file,
            warnings.catch_warnings(action="ignore"),  # of odd EXIF, or many pixels: they name no file
            Image.open(file) as image,
        ):
            size = image.size
            if shorter_side is not None:
                wanted = shrunk_size(*size, shorter_side)
                image.draft("L", (int(wanted[0] * _REDUCING_GAP), int(wanted[1] * _REDUCING_GAP)))
            image.load()  # which turns a TIFF, so that nothing is left to be turned
            if image.getexif().get(ExifTags.Base.Orientation, 1) >= 5:  # lies on its side
                size = size[::-1]
            gray = grayscale(image)
            if shorter_side is not None:
                gray = gray.resize(shrunk_size(*size, shorter_side), Image.Resampling.LANCZOS)
            return Shrunk(np.asarray(gray), original_height=size[1], original_width=size[0])
    except (
        Exception
    ) as error:  # what a decoder throws at broken files is anything from OSError to struct.error
        name = "bytes" if isinstance(source, bytes) else source
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "of no known format" if unknown else " ".join(str(error).split())
        raise InputError(
            f"{name}: not an image that can be read ({reason or type(error).__name__})"
        ) from error


def grayscale(image: Image.Image) -> Image.Image:
    """An open image of any mode in 8-bit grayscale and upright: what `decode` makes of its file."""
    image = ImageOps.exif_transpose(image)
    if not image.mode.startswith(("I", "F")):
        if image.has_transparency_data:  # what lies under it is not meant to be seen
            black = Image.new("RGBA", image.size, "black")
            image = Image.alpha_composite(black, image.convert("RGBA"))
        return image.convert("L")
    pixels_HW = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    low, high = pixels_HW.min(), pixels_HW.max()
    return Image.fromarray(np.uint8(np.rint((pixels_HW - low) * (255 / max(high - low, 1e-12)))))
