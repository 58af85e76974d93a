"""DICOM files to 8-bit grayscale: what a radiologist would be shown, bright where X-rays were stopped."""

import io
import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eclip.data import gdcm_process
from eclip.data.sources.cells import age_years, sex_name, view_code
from eclip.errors import InputError

_SUFFIXES = {".dcm", ".dicom"}
_MOST_PIXELS = 10_000**2  # of a frame; the largest detectors have 20 million
_MOST_BYTES = 2**29  # of a file
_DEFLATED = b"1.2.840.10008.1.2.1.99"  # may blow up to any size
_PYDICOM = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"}
_GDCM = {f"1.2.840.10008.1.2.4.{number}" for number in (57, 70, 80, 81)}  # lossless JPEG, JPEG-LS
_MONOCHROME = {"MONOCHROME1", "MONOCHROME2"}
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"}
_TAGS = [
    *("ViewPosition", "PatientSex", "PatientAge"),
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "PlanarConfiguration"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"),
    *("VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth", "PresentationLUTShape"),
]


@dataclass(frozen=True, slots=True)
class Radiograph:
    """A decoded DICOM file.

    Attributes:
        pixels: Grayscale, uint8 (H, W).
        view: PA, AP, LATERAL, LL, or "".
        sex: F, M, or "".
        age: Years, or None.
    """

    pixels: np.ndarray
    view: str = ""
    sex: str = ""
    age: int | None = None


def is_dicom(source: bytes | str | Path) -> bool:
    """Whether bytes or a file are DICOM, by their content or the file's name.

    Raises:
        OSError: A file that cannot be read.
    """
    if isinstance(source, bytes):
        return source[128:132] == b"DICM"
    with Path(source).open("rb") as file:
        return file.read(132)[128:] == b"DICM" or Path(source).suffix.lower() in _SUFFIXES


def read_dicom(source: bytes | str | Path) -> Radiograph:
    """Decode the first frame of a DICOM file.

    The steps are those of PS3.3 and PS3.4: modality table or rescaling, then the VOI table, or the first window
    (linear, linear exact, sigmoid), if there is one, then the image's own minimum and maximum to 0 … 255, and
    MONOCHROME1 (or the presentation shape INVERSE) inverted. Padding is black and has no say in the minimum and
    maximum. Colour becomes luma. MIMIC-CXR-JPG was made in this manner, but without windows, and its
    histograms were equalised; here they are not. A window under which the whole image is one gray is left out.

    Raises:
        InputError: No such DICOM image, or pydicom is not installed. What was read of the header is never told,
            since it names patients.
    """
    pydicom = _pydicom()
    data = source if isinstance(source, bytes) else _bytes(Path(source))
    if data[128:132] != b"DICM":
        raise InputError("not a DICOM file")
    if _DEFLATED in data[:2048]:
        raise InputError("deflated DICOM is not read; store it uncompressed")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=_TAGS)
            _check(dataset)
            radiograph = Radiograph(
                _gray(_decoded(dataset, data), dataset),
                view=view_code(_text(dataset, "ViewPosition")),
                sex=sex_name(_text(dataset, "PatientSex")),
                age=age_years(_text(dataset, "PatientAge")),
            )
        except InputError:
            raise
        except Exception as error:  # from struct.error to RecursionError; their texts may quote the header
            raise InputError(
                f"broken DICOM file, or compressed in a way that is not read ({type(error).__name__})"
            ) from error
    return radiograph


def _pydicom() -> Any:
    """pydicom, which must not import gdcm into this process: it breaks zlib, and ends the process at broken files."""
    without_gdcm = "gdcm" not in sys.modules
    if without_gdcm:
        sys.modules["gdcm"] = None  # type: ignore[assignment]
    try:
        import pydicom.pixels
    except ImportError as error:
        raise InputError("DICOM needs pydicom: pip install 'eclip[dicom]'") from error
    finally:
        if without_gdcm:
            del sys.modules["gdcm"]
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    return pydicom


def _bytes(path: Path) -> bytes:
    """All of a file: pydicom would allocate whatever length a broken element claims, but not from memory."""
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"more than {_MOST_BYTES >> 20} MiB; expected a single radiograph")
    return path.read_bytes()


def _text(dataset: Any, keyword: str) -> str:
    """A header's text, "" where there is none or several."""
    value = dataset.get(keyword)
    return value.strip() if isinstance(value, str) else ""


def _check(dataset: Any) -> None:
    """Refuse what is no radiograph before anything is allocated for it."""
    if "PixelData" not in dataset:
        raise InputError("DICOM file without pixels")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if not 0 < rows * columns <= _MOST_PIXELS:
        raise InputError(f"DICOM image of {columns} × {rows} pixels; expected up to {_MOST_PIXELS:,}")
    if dataset.BitsAllocated not in {8, 16}:
        raise InputError("DICOM pixels of neither 8 nor 16 allocated bits")
    if dataset.PhotometricInterpretation not in _MONOCHROME | _COLOUR:
        raise InputError("DICOM image that is neither monochrome, RGB nor YBR")


def _decoded(dataset: Any, data: bytes) -> np.ndarray:
    """The first frame, (H, W) or (H, W, 3)."""
    from pydicom.encaps import generate_frames
    from pydicom.pixels.utils import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _GDCM:
        return gdcm_process.decode(data)
    if syntax in _PYDICOM:
        return np.asarray(pixel_array(dataset, index=0))
    frames = int(dataset.get("NumberOfFrames") or 1)
    with Image.open(io.BytesIO(next(generate_frames(dataset.PixelData, number_of_frames=frames)))) as image:
        if image.size != (dataset.Columns, dataset.Rows):  # before anything is allocated for it
            raise InputError("DICOM header and pixels of different sizes")
    return np.asarray(pixel_array(dataset, index=0, decoding_plugin="pillow"))


def _gray(pixels: np.ndarray, dataset: Any) -> np.ndarray:
    """Decoded pixels, (H, W) or (H, W, 3), to uint8 (H, W)."""
    if dataset.PhotometricInterpretation in _COLOUR:
        if pixels.dtype != np.uint8:
            raise InputError("DICOM colours of more than 8 bits")
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))
    if pixels.ndim != 2:
        raise InputError("monochrome DICOM image with several samples a pixel")
    padding = _padding(pixels, dataset)
    seen = pixels if padding is None else pixels[~padding]
    if not seen.size:
        return np.zeros(pixels.shape, np.uint8)
    lowest = int(seen.min())
    levels = np.arange(lowest, int(seen.max()) + 1)  # at most 65,536: cheaper than a window over all pixels
    there = np.bincount(np.ravel(seen).astype(np.int64) - lowest) > 0
    tables = (_stretched(values, there) for values in (_shown(levels, dataset), levels))
    table = next((table for table in tables if table is not None), np.zeros(len(levels)))
    if (
        dataset.PhotometricInterpretation == "MONOCHROME1"
        or _text(dataset, "PresentationLUTShape") == "INVERSE"
    ):
        table = 255 - table
    gray = np.rint(table).astype(np.uint8)[np.clip(pixels.astype(np.int64) - lowest, 0, len(levels) - 1)]
    if padding is not None:
        gray[padding] = 0
    return gray


def _padding(pixels: np.ndarray, dataset: Any) -> np.ndarray | None:
    """Where pixels are padding, (H, W), or None if it is nowhere."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return None
    last = dataset.get("PixelPaddingRangeLimit", first)
    bounds = np.array([first, last], np.int64).astype(pixels.dtype)  # a negative one may stand there unsigned
    padding = (pixels >= bounds.min()) & (pixels <= bounds.max())
    return padding if padding.any() else None


def _shown(levels: np.ndarray, dataset: Any) -> np.ndarray:
    """What a display shows of pixel values: through the modality's table or line, then a table or a window."""
    if dataset.PhotometricInterpretation in _COLOUR:
        return levels
    if dataset.get("ModalityLUTSequence"):
        values = _looked_up(levels, dataset.ModalityLUTSequence[0], dataset)
    else:
        values = levels * _number(dataset, "RescaleSlope", 1.0) + _number(dataset, "RescaleIntercept", 0.0)
    if dataset.get("VOILUTSequence"):
        return _looked_up(values, dataset.VOILUTSequence[0], dataset)
    centre, width = _number(dataset, "WindowCenter", np.nan), _number(dataset, "WindowWidth", np.nan)
    if not width > 0:
        return values
    function = _text(dataset, "VOILUTFunction")
    if function == "SIGMOID":  # PS3.3 C.11.2.1.3.1
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function != "LINEAR_EXACT":  # C.11.2.1.3.2; else LINEAR, C.11.2.1.2.1
        centre, width = centre - 0.5, width - 1
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _looked_up(values: np.ndarray, item: Any, dataset: Any) -> np.ndarray:
    """Values through a DICOM table; what lies beyond it gets its first or last entry."""
    entries, first, _ = item.LUTDescriptor
    table = item.LUTData
    if isinstance(table, bytes):
        table = np.frombuffer(table, "<u2" if dataset.original_encoding[1] else ">u2")
    table = np.atleast_1d(table)[: entries or 2**16]
    return table[np.clip(np.rint(values) - first, 0, len(table) - 1).astype(np.int64)]


def _number(dataset: Any, keyword: str, otherwise: float) -> float:
    """A header's number, the first if there are several."""
    value = np.atleast_1d(dataset.get(keyword))
    return otherwise if value[:1].tolist() in ([], [None]) else float(value[0])


def _stretched(values: np.ndarray, there: np.ndarray) -> np.ndarray | None:
    """Values stretched so that those that are there span 0 … 255; None if they are one, or not finite."""
    low, high = values[there].min(), values[there].max()
    if not low < high or not np.isfinite([low, high]).all():
        return None
    return np.clip((np.asarray(values, np.float64) - low) * (255 / (float(high) - float(low))), 0, 255)
