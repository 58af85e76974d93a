"""gdcm in a process of its own: it stays out of ours, and a file that ends it costs only itself."""

import subprocess
import sys

import numpy as np

from eclip.data import gdcm_process
from eclip.data.dicom import read_dicom
from eclip.errors import InputError
from fabricated.dicom_file import write_dicom
from ramp_dicom import LOSSLESS, LOSSLESS_LS, RAMP, gdcm_compressed, stretched


def test_gdcm_stays_out_of_our_process(tmp_path):
    path = gdcm_compressed(write_dicom(tmp_path / "image.dcm", RAMP, bits=12), LOSSLESS)
    code = f"import sys; from eclip.data.images import decode; decode({str(path)!r}); print('gdcm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_file_that_ends_gdcm_costs_only_itself(tmp_path):
    good = gdcm_compressed(write_dicom(tmp_path / "good.dcm", RAMP, bits=12), LOSSLESS_LS)
    data = bytearray(good.read_bytes())
    at = data.index(b"\xff\xd8\xff\xf7")  # the frame
    ended = 0
    for place in range(at + 4, at + 60):
        bad = bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            read_dicom(bad)
        except InputError:
            ended += gdcm_process._process[1].poll() is not None
        np.testing.assert_array_equal(read_dicom(good).pixels, stretched(RAMP))
        if ended:
            break
    assert ended  # else nothing was tested
