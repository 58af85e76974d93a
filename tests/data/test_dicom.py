"""Oracles: the formulas of DICOM PS3.3 C.11.2.1, pydicom's own windowing, and the pixels that were written."""

import io
import sys

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from broken_files import TRIED, broken
from eclip.data.dicom import is_dicom, read_dicom
from eclip.data.images import decode, decode_shrunk, shrink
from eclip.errors import InputError
from fabricated.dicom_file import write_dicom
from ramp_dicom import LOSSLESS, LOSSLESS_LS, RAMP, gdcm_compressed, stretched


def read(tmp_path, pixels=RAMP, **options):
    return read_dicom(write_dicom(tmp_path / "image.dcm", pixels, **{"bits": 12, **options}))


def edited(path, change):
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def table(entries, first, bits, kind="US"):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    data = np.asarray(entries, "<u2")
    item.add_new("LUTData", kind, data.tobytes() if kind == "OW" else data.tolist())
    return Sequence([item])


def test_a_twelve_bit_ramp_spans_black_to_white(tmp_path):
    np.testing.assert_array_equal(read(tmp_path).pixels, stretched(RAMP))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_depths_are_stretched_by_their_own_range(tmp_path, dtype):
    pixels = np.linspace(20, 200 if dtype is np.uint8 else 60_000, 120).astype(dtype).reshape(10, 12)
    np.testing.assert_array_equal(read(tmp_path, pixels, bits=None).pixels, stretched(pixels))


def test_signed_pixels(tmp_path):
    signed = RAMP.astype(np.int16) - 2048
    found = read(tmp_path, signed, bits=16, PixelRepresentation=1).pixels
    np.testing.assert_array_equal(found, stretched(signed))


def test_bits_that_are_not_stored_do_not_count(tmp_path):
    found = read(tmp_path, RAMP | 0x8000, bits=12).pixels  # an overlay in the uppermost bit
    np.testing.assert_array_equal(found, stretched(RAMP))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("centre", "width"), [(2048, 1024), (1000.5, 700.25), (2048, 1)])
def test_windows_are_those_of_the_standard(tmp_path, function, centre, width):
    def window(x):  # PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, word for word, y from 0 to 1
        if function == "SIGMOID":
            return 1 / (1 + np.exp(-4 * (x - centre) / width))
        c, w = (centre, width) if function == "LINEAR_EXACT" else (centre - 0.5, width - 1)
        if x <= c - w / 2:
            return 0.0
        return 1.0 if x > c + w / 2 else (x - c) / w + 0.5

    options = {} if function is None else {"VOILUTFunction": function}
    found = read(tmp_path, WindowCenter=centre, WindowWidth=width, **options).pixels
    with np.errstate(over="ignore"):
        expected = stretched(np.vectorize(window)(RAMP.astype(float)))
    np.testing.assert_array_equal(found, expected)


@given(st.integers(0, 4095), st.floats(20, 5000), st.floats(0.1, 8), st.floats(-3000, 3000), st.booleans())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_window_after_any_rescaling_equals_pydicoms(tmp_path, at, width, slope, intercept, exact):
    slope, intercept, width = round(slope, 3), round(intercept, 2), round(width, 2)
    centre = round(at * slope + intercept, 2)  # within the pixels
    path = write_dicom(
        tmp_path / "image.dcm", RAMP, bits=12, RescaleSlope=slope, RescaleIntercept=intercept,
        WindowCenter=[centre, 1], WindowWidth=[width, 2], VOILUTFunction="LINEAR_EXACT" if exact else "LINEAR",
    )  # fmt: skip
    dataset = pydicom.dcmread(path)
    rescaled = pydicom.pixels.apply_modality_lut(dataset.pixel_array, dataset)
    expected = stretched(pydicom.pixels.apply_windowing(rescaled, dataset, index=0))
    assert np.abs(read_dicom(path).pixels.astype(int) - expected).max() <= 1  # another order of roundings


def test_a_negative_slope_turns_the_image_before_its_window(tmp_path):
    options = {"RescaleSlope": -1, "RescaleIntercept": 4095}
    np.testing.assert_array_equal(read(tmp_path, **options).pixels, stretched(4095 - RAMP.astype(int)))
    windowed = read(tmp_path, **options, WindowCenter=2048, WindowWidth=4096).pixels
    np.testing.assert_array_equal(windowed, stretched(4095 - RAMP.astype(int)))


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 2048, "WindowWidth": 0},
        {"WindowCenter": 2048, "WindowWidth": -5},
        {"WindowCenter": 2048},
        {"WindowCenter": None, "WindowWidth": None},
        {"WindowCenter": 60_000, "WindowWidth": 10},  # all black
    ],
)
def test_a_window_that_shows_nothing_is_left_out(tmp_path, window):
    np.testing.assert_array_equal(read(tmp_path, **window).pixels, stretched(RAMP))


@pytest.mark.parametrize("kind", ["US", "OW"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_voi_table_is_looked_up_and_takes_precedence(tmp_path, kind, bits):
    entries = np.rint((np.arange(1000) / 999) ** 2 * (2**bits - 1)).astype(int)
    path = write_dicom(tmp_path / "image.dcm", RAMP, bits=12, WindowCenter=3, WindowWidth=5)
    edited(path, lambda d: d.add_new("VOILUTSequence", "SQ", table(entries, 1500, bits, kind)))
    expected = [entries[min(max(value - 1500, 0), 999)] for value in range(4096)]
    np.testing.assert_array_equal(read_dicom(path).pixels, stretched(expected).reshape(64, 64))


def test_a_modality_table_comes_before_the_window(tmp_path):
    entries = np.arange(4096)[::-1] // 2
    path = write_dicom(tmp_path / "image.dcm", RAMP, bits=12, WindowCenter=1024, WindowWidth=512)
    edited(path, lambda d: d.add_new("ModalityLUTSequence", "SQ", table(entries, 0, 16)))
    expected = np.clip((entries - 1023.5) / 511 + 0.5, 0, 1)
    np.testing.assert_array_equal(read_dicom(path).pixels, stretched(expected).reshape(64, 64))


@pytest.mark.parametrize(
    "header",
    [
        {"photometric": "MONOCHROME1"},
        {"PresentationLUTShape": "INVERSE"},
        {"photometric": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},  # the same said twice
    ],
)
def test_inverted_images_are_turned_the_right_way(tmp_path, header):
    window = {"WindowCenter": 1500, "WindowWidth": 800}
    upright, inverted = read(tmp_path, **window).pixels, read(tmp_path, **header, **window).pixels
    assert np.abs(255.0 - upright - inverted).max() <= 1  # a half rounds up either way
    assert inverted[0, 0] == 255


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_has_no_say_in_the_range(tmp_path, photometric):
    pixels = RAMP // 4 + 1000
    pixels[:, :9] = 65_535
    found = read(tmp_path, pixels, bits=16, photometric=photometric, PixelPaddingValue=65_535).pixels
    expected = stretched(pixels[:, 9:])
    assert not found[:, :9].any()
    np.testing.assert_allclose(
        found[:, 9:].astype(int), expected if photometric[-1] == "2" else 255 - expected, atol=1
    )


def test_a_range_of_padding_and_negative_padding_written_as_unsigned(tmp_path):
    pixels = RAMP.astype(np.int16)
    pixels[:3], pixels[3:5] = -2000, -1995
    path = write_dicom(tmp_path / "image.dcm", pixels, bits=16, PixelRepresentation=1)
    for keyword, value in (("PixelPaddingValue", -2000), ("PixelPaddingRangeLimit", -1990)):
        edited(path, lambda d, k=keyword, v=value: d.add_new(k, "US", v % 65_536))
    found = read_dicom(path).pixels
    assert not found[:5].any()
    np.testing.assert_array_equal(found[5:], stretched(pixels[5:]))


def test_nothing_but_padding_and_constant_images_are_black(tmp_path):
    flat = np.full((8, 9), 7, np.uint16)
    assert not read(tmp_path, flat).pixels.any()
    assert not read(tmp_path, flat, PixelPaddingValue=7).pixels.any()


def test_the_first_frame_counts(tmp_path):
    path = write_dicom(tmp_path / "image.dcm", np.concatenate([RAMP, RAMP[::-1]]), bits=12, NumberOfFrames=2)
    edited(path, lambda d: setattr(d, "Rows", 64))
    np.testing.assert_array_equal(read_dicom(path).pixels, stretched(RAMP))


@pytest.mark.parametrize(("photometric", "planar"), [("RGB", 0), ("RGB", 1), ("YBR_FULL", 0)])
def test_colour_becomes_luma(tmp_path, photometric, planar):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    rgb[0, 0], rgb[0, 1] = 0, 255
    stored = np.asarray(Image.fromarray(rgb).convert("YCbCr")) if photometric[0] == "Y" else rgb
    stored = np.ascontiguousarray(stored.transpose(2, 0, 1) if planar else stored)
    path = write_dicom(tmp_path / "image.dcm", stored.reshape(-1, 30), photometric=photometric,
                       PlanarConfiguration=planar, WindowCenter=3, WindowWidth=2)  # fmt: skip
    edited(path, lambda d: (setattr(d, "Rows", 20), setattr(d, "SamplesPerPixel", 3)))
    expected = rgb @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(read_dicom(path).pixels, expected, atol=2)


def j2k(path):
    buffer = io.BytesIO()
    Image.fromarray(RAMP).save(buffer, "JPEG2000", irreversible=False)

    def change(dataset):
        data = buffer.getvalue()
        dataset.PixelData = encapsulate([data[data.index(b"\xff\x4f\xff\x51") :]])
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.BitsStored, dataset.HighBit = 16, 15

    return edited(path, change)


COMPRESSED = {
    "RLE": lambda path: edited(path, lambda d: d.compress(RLELossless)),
    "JPEG 2000": j2k,
    "JPEG 2000 of gdcm": lambda path: gdcm_compressed(path, "JPEG2000Lossless"),
    "lossless JPEG": lambda path: gdcm_compressed(path, LOSSLESS),
    "JPEG-LS": lambda path: gdcm_compressed(path, LOSSLESS_LS),
}


@pytest.mark.parametrize("kind", COMPRESSED)
def test_compressed_files_equal_the_uncompressed(tmp_path, kind):
    path = write_dicom(tmp_path / "image.dcm", RAMP, bits=12, WindowCenter=2048, WindowWidth=1024)
    uncompressed, size = read_dicom(path), path.stat().st_size
    assert COMPRESSED[kind](path).stat().st_size != size
    np.testing.assert_array_equal(read_dicom(path).pixels, uncompressed.pixels)


def test_baseline_jpeg_as_rsna_has_it(tmp_path):
    y, x = np.mgrid[0:64, 0:80]
    gray = np.uint8(127.5 + 127.5 * np.sin(x / 12) * np.cos(y / 10))
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "JPEG", quality=95)
    path = write_dicom(tmp_path / "image.dcm", gray)

    def change(dataset):
        dataset.PixelData = encapsulate([buffer.getvalue()])
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit

    found = read_dicom(edited(path, change)).pixels
    np.testing.assert_allclose(found.astype(int), stretched(gray), atol=6)


@pytest.mark.parametrize(
    ("written", "view"),
    [
        ("PA", "PA"),
        ("AP", "AP"),
        ("LATERAL", "LATERAL"),
        ("LL", "LL"),
        ("RL", "LATERAL"),
        ("", ""),
        ("XX", ""),
    ],
)
def test_the_header_tells_view_sex_and_age(tmp_path, written, view):
    path = write_dicom(tmp_path / "a.dicom", RAMP, ViewPosition=written, PatientSex="F", PatientAge="058Y")
    found = decode_shrunk(path, 32)
    assert (found.view, found.sex, found.age) == (view, "F", 58)
    assert (found.original_height, found.original_width) == (64, 64)
    np.testing.assert_array_equal(found.pixels, shrink(decode(path), 32))
    np.testing.assert_array_equal(decode(path.read_bytes()), decode(path))


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize(("sex", "age"), [("O", ""), ("", "400Y"), ("F\\M", "058Y\\059Y"), ("?", "old")])
def test_headers_that_tell_neither(tmp_path, sex, age):
    path = write_dicom(tmp_path / "image.dcm", RAMP, PatientSex=sex, PatientAge=age)
    found = read_dicom(path)
    assert (found.sex, found.age) == ("", None)


def test_dicom_is_known_by_content_or_suffix(tmp_path):
    path = write_dicom(tmp_path / "image.dcm", RAMP)
    assert is_dicom(path)
    assert is_dicom(path.read_bytes())
    assert is_dicom(path.rename(tmp_path / "without"))
    (tmp_path / "empty.DCM").touch()
    assert is_dicom(tmp_path / "empty.DCM")
    Image.new("L", (9, 9)).save(tmp_path / "image.png")
    assert not is_dicom(tmp_path / "image.png")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda d: delattr(d, "PixelData"), "without pixels"),
        (lambda d: (setattr(d, "Rows", 65_535), setattr(d, "Columns", 65_535)), "65535 × 65535 pixels"),
        (lambda d: setattr(d, "Rows", 0), "64 × 0 pixels"),
        (lambda d: delattr(d, "Rows"), "broken"),
        (lambda d: setattr(d, "BitsAllocated", 32), "neither 8 nor 16"),
        (lambda d: setattr(d, "PhotometricInterpretation", "PALETTE COLOR"), "neither monochrome"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:100]), "broken"),
    ],
)
def test_what_is_no_radiograph_is_told_in_one_line(tmp_path, spoil, reason):
    path = edited(write_dicom(tmp_path / "image.dcm", RAMP, PatientName="DOE^JOHN"), spoil)
    with pytest.raises(InputError, match=reason) as error:
        decode(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert "DOE" not in str(error.value)


def test_compressions_that_nobody_reads(tmp_path):
    data = write_dicom(tmp_path / "image.dcm", RAMP).read_bytes()
    with pytest.raises(InputError, match="compressed in a way that is not read"):
        read_dicom(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))


def test_deflated_files_are_refused_before_they_are_inflated(tmp_path):
    path = write_dicom(tmp_path / "image.dcm", RAMP)
    edited(
        path, lambda d: setattr(d.file_meta, "TransferSyntaxUID", pydicom.uid.DeflatedExplicitVRLittleEndian)
    )
    with pytest.raises(InputError, match="deflated"):
        read_dicom(path)


def test_without_pydicom_the_error_says_what_to_install(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "image.dcm", RAMP)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r"pip install 'eclip\[dicom\]'"):
        decode(path)


@pytest.mark.parametrize("kind", ["plain", "RLE", "JPEG 2000 of gdcm", "lossless JPEG"])
def test_no_broken_file_is_a_traceback_or_takes_much_memory(tmp_path, kind, capfd):
    y, x = np.mgrid[0:24, 0:32]
    smooth = np.uint16(2000 + 1500 * np.sin(x / 5) * np.cos(y / 4))
    path = write_dicom(
        tmp_path / "image.dcm", smooth, bits=12, WindowCenter=2048, WindowWidth=1024, ViewPosition="PA",
        PatientAge="058Y", PixelPaddingValue=0, RescaleSlope=1, RescaleIntercept=0, PatientName="DOE^JOHN",
    )  # fmt: skip
    edited(path, lambda d: d.add_new("VOILUTSequence", "SQ", table([1, 2, 3, 4], 1500, 8)))
    COMPRESSED.get(kind, lambda path: None)(path)
    sound = path.read_bytes()

    @given(broken(sound), st.integers(0, 1))
    @settings(max_examples=100 if kind == "lossless JPEG" else 300,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    def stands(data, keep_header):
        TRIED["dicom"] += 1
        if keep_header:  # else most of it is told apart at once
            data = sound[:132] + data[132:]
        try:
            found = read_dicom(data).pixels
        except InputError as error:
            reason = str(error)
        else:
            assert found.dtype == np.uint8
            return
        assert "\n" not in reason
        assert "DOE" not in reason

    stands()
    assert capfd.readouterr() == ("", "")
