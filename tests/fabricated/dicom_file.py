"""DICOM files with the headers that chest radiographs have."""

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid


def write_dicom(path, pixels_HW, *, photometric="MONOCHROME2", bits=None, compress=None, **elements):
    """Write unsigned pixels (H, W) of 8 or 16 bits; `elements`: further DICOM keywords, as WindowCenter=2048.

    `bits` is BitsStored; `compress` the UID of a transfer syntax.
    """
    pixels_HW = np.ascontiguousarray(pixels_HW)
    allocated = 8 * pixels_HW.dtype.itemsize
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    dataset.Modality = "DX"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.Rows, dataset.Columns = pixels_HW.shape
    dataset.BitsAllocated, dataset.BitsStored = allocated, bits or allocated
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels_HW.tobytes()
    if compress is not None:
        dataset.compress(compress)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
