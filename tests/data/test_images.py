"""Oracles: the pixels that were written, NumPy means, and a cross that must stay under its point."""

import contextlib
import io
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from eclip.data.images import decode, decode_shrunk, encode, fit, fit_matrix, shrink, shrunk_size
from eclip.errors import InputError


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.uint8(127 + 90 * np.sin(x / width * 5) * np.cos(y / height * 4))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_decode_gives_the_gray_that_was_written(mode):
    gray = smooth(20, 30)
    image = Image.fromarray(gray).convert(mode)
    np.testing.assert_allclose(decode(encoded(image)).astype(int), gray, atol=1)


def test_decode_reads_a_path(tmp_path):
    Image.fromarray(smooth(8, 9)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), smooth(8, 9))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_their_own_range(kind):
    deep = (
        np.linspace(100, 4095, 12).astype(np.uint16).reshape(3, 4)
    )  # 12 bits in 16, as DICOM exports have them
    expected = np.rint((deep - 100.0) * 255 / 3995)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(deep), kind)), expected)


def test_float_pixels_and_constant_images_do_not_divide_by_zero():
    flat = Image.fromarray(np.full((4, 5), np.nan, np.float32))
    assert decode(encoded(flat, "TIFF")).tolist() == np.zeros((4, 5)).tolist()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_rotation_is_undone_and_sizes_follow(kind, tmp_path):
    upright = smooth(60, 40)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # stored lying on its side; to be turned by 90° clockwise
    data = encoded(Image.fromarray(np.rot90(upright)), kind, quality=100, exif=exif.tobytes())
    (tmp_path / "image").write_bytes(data)
    for source in (data, tmp_path / "image"):
        np.testing.assert_allclose(decode(source).astype(int), upright, atol=4)
        shrunk = decode_shrunk(source, 20)
        assert (shrunk.original_height, shrunk.original_width, shrunk.pixels.shape) == (60, 40, (30, 20))
        np.testing.assert_allclose(shrunk.pixels.astype(int), shrink(upright, 20), atol=4)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_what_is_transparent_is_black(mode):
    image = Image.new("RGBA", (5, 4), (200, 200, 200, 255))
    image.putpixel((3, 2), (255, 255, 255, 0))
    expected = np.full((4, 5), 200)
    expected[2, 3] = 0
    np.testing.assert_allclose(decode(encoded(image.convert(mode), "PNG")).astype(int), expected, atol=1)


@pytest.mark.parametrize(
    "broken", [b"", b"not an image", encoded(Image.fromarray(smooth(64, 64)), "JPEG")[:300]]
)
def test_what_is_not_an_image_is_told_in_one_line(broken, tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(broken)
    for source in (broken, path):
        with pytest.raises(InputError, match="not an image that can be read") as error:
            decode(source)
        assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        decode(tmp_path / "gone.png")


def test_what_can_be_read_warns_of_nothing(recwarn, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    assert decode(encoded(Image.fromarray(smooth(60, 40)))).shape == (60, 40)
    assert not list(recwarn)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "folder.png"):
        with pytest.raises(InputError, match="no such file"):
            decode(tmp_path / name)


@settings(max_examples=150)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"GIF89a"]),
)
def test_no_bytes_crash_the_decoder(tail, magic):
    with contextlib.suppress(InputError):
        assert decode(magic + tail).ndim == 2


def test_encode_is_repeatable_close_and_carries_no_metadata():
    gray = smooth(50, 40)
    assert encode(gray) == encode(gray.copy())
    assert np.abs(decode(encode(gray)).astype(int) - gray).max() <= 4
    assert not Image.open(io.BytesIO(encode(gray))).getexif()


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 512))
def test_shrunk_size_keeps_the_shape_and_never_enlarges(width, height, side):
    small = shrunk_size(width, height, side)
    assert min(small) == min(side, width, height)
    assert small[0] <= width
    assert small[1] <= height
    assert abs(small[0] * height - small[1] * width) <= max(
        width, height
    )  # half a pixel of rounding, each side


def test_shrink_averages_rather_than_picks():
    stripes = np.uint8(np.tile([0, 255], (64, 32)))  # every second column white: picking would give 0 or 255
    small = shrink(stripes, 16)
    assert small.shape == (16, 16)
    np.testing.assert_allclose(small[2:-2, 2:-2], 127.5, atol=12)
    assert shrink(small, 100) is small


@pytest.mark.parametrize("shape", [(1200, 900), (700, 1500), (300, 299)])
def test_decoding_at_a_fraction_equals_decoding_and_shrinking(shape):
    data = encoded(Image.fromarray(smooth(*shape)), "JPEG", quality=95)
    shrunk = decode_shrunk(data, 128)
    expected = shrink(decode(data), 128)
    assert shrunk.pixels.shape == expected.shape
    assert np.abs(shrunk.pixels.astype(int) - expected).max() <= 3
    assert (shrunk.original_height, shrunk.original_width) == shape


@pytest.mark.parametrize(("height", "width"), [(200, 320), (320, 200), (256, 256), (257, 256)])
def test_a_point_on_a_cross_stays_on_it_through_fit(height, width):
    x, y = 0.55, 0.45
    rows, columns = np.mgrid[0:height, 0:width]
    distance = np.hypot(columns + 0.5 - x * width, rows + 0.5 - y * height)
    square = fit(np.uint8(255 * np.exp(-((distance / 6) ** 2))), 96).astype(float)
    found = [(np.arange(96) + 0.5) @ square.sum(axis) / square.sum() / 96 for axis in (0, 1)]
    np.testing.assert_allclose(found, (fit_matrix(height, width) @ [x, y, 1])[:2], atol=0.5 / 96)


def test_fit_leaves_what_already_fits_and_keeps_the_centre():
    square = smooth(64, 64)
    assert fit(square, 64) is square
    wide = np.zeros((64, 192), np.uint8)
    wide[:, 64:128] = square
    np.testing.assert_array_equal(fit(wide, 64), square)
    np.testing.assert_allclose(
        fit_matrix(64, 192) @ [[1 / 3, 2 / 3], [0, 1], [1, 1]], [[0, 1], [0, 1], [1, 1]]
    )
