"""A picture of every 12-bit value, what stretching makes of values, and files as gdcm compresses them."""

import subprocess
import sys

import numpy as np

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
LOSSLESS, LOSSLESS_LS = "JPEGLosslessProcess14_1", "JPEGLSLossless"


def stretched(values):
    values = np.asarray(values, np.float64)
    return np.rint((values - values.min()) * 255 / (values.max() - values.min()))


COMPRESS = """
import os, sys, zlib  # zlib before gdcm, which breaks it otherwise
import gdcm
path, syntax = sys.argv[1], getattr(gdcm.TransferSyntax, sys.argv[2])
reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
reader.SetFileName(path)
assert reader.Read()
change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
change.SetInput(reader.GetImage())
assert change.Change()
writer.SetFileName(path)
writer.SetFile(reader.GetFile())
writer.SetImage(change.GetOutput())
assert writer.Write()
os._exit(0)
"""


def gdcm_compressed(path, syntax):
    """What pydicom has no encoder for."""
    subprocess.run([sys.executable, "-c", COMPRESS, str(path), syntax], check=True)
    return path
