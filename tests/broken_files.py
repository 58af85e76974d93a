"""Input as it should not be: what hypothesis makes of a file, and a source that has to stand it."""

from collections import Counter

from hypothesis import strategies as st

from eclip.annotations.reading import Rejection
from eclip.data.build import finish
from eclip.errors import InputError

TRIED = Counter()
"""How many broken inputs each source has stood in this session; conftest prints it."""

NASTY = [
    b"", b" ", b"-1", b"nan", b"inf", b"-inf", b"1e999", b"9" * 400, b"0x10", b"1,2", b"\x00", b"\xff\xfe", b'"',
    b"'", b"None", b"true", b"[]", b"{}", b"<", b"&", b"../../etc/passwd", b"=1+1", b"\xe2\x80\xa8", b"a" * 5000,
]  # fmt: skip


@st.composite
def broken(draw, data):
    """The bytes of a file, spoiled: cut, overwritten, with odd cells, lines too few or too many, or all rubbish."""
    how = draw(st.sampled_from(["rubbish", "cut", "bytes", "cell", "line gone", "line twice", "insert"]))
    if how == "rubbish":
        return draw(st.binary(max_size=400))
    if how == "cut":
        return data[: draw(st.integers(0, len(data)))]
    place = st.integers(0, max(len(data) - 1, 0))
    if how == "bytes":
        spoiled = bytearray(data)
        for at, byte in draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=8)):
            spoiled[at : at + 1] = bytes([byte])
        return bytes(spoiled)
    if how == "insert":
        at = draw(place)
        return data[:at] + draw(st.sampled_from(NASTY)) + data[at:]
    lines = data.split(b"\n")
    number = draw(st.integers(0, len(lines) - 1))
    if how == "cell":
        cells = lines[number].split(b",")
        cells[draw(st.integers(0, len(cells) - 1))] = draw(st.sampled_from(NASTY))
        lines[number] = b",".join(cells)
    else:
        lines[number : number + 1] = [] if how == "line gone" else [lines[number]] * 2
    return b"\n".join(lines)


def drain(source, *, image_size=32):
    """(studies, rejections) of a source, finished here and now."""
    finished = [item for draft in source.select().drafts() for item in finish(draft, image_size)]
    rejections = [item for item in finished if isinstance(item, Rejection)]
    return [item for item in finished if not isinstance(item, Rejection)], rejections


def stands(source, *, name):
    """Whether a source gives studies and rejections or one clear error: (studies, rejections), or None."""
    TRIED[name] += 1
    try:
        return drain(source)
    except InputError as error:
        told = str(error)
    assert told.strip()
    assert "\n" not in told
    return None
