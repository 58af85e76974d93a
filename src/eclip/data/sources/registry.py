"""The sources that `eclip data build` knows, by name: a new one is a line here."""

from eclip.data.sources.chexpert import CheXpert
from eclip.data.sources.draft import Source
from eclip.data.sources.lab.table import Table
from eclip.data.sources.mimic_cxr import MimicCxr
from eclip.data.sources.mimic_eye import MimicEye
from eclip.data.sources.nih_cxr14 import NihCxr14
from eclip.data.sources.open_i import OpenI
from eclip.data.sources.readings import EgdCxr, GazeIntent, GazeSearch, Reflacx
from eclip.data.sources.rsna import Rsna
from eclip.data.sources.siim_acr import SiimAcr
from eclip.data.sources.vindr_cxr import VinDrCxr

SOURCES: dict[str, type[Source]] = {
    "mimic-cxr": MimicCxr,
    "egd-cxr": EgdCxr,
    "reflacx": Reflacx,
    "mimic-eye": MimicEye,
    "gazesearch": GazeSearch,
    "gazeintent": GazeIntent,
    "open-i": OpenI,
    "chexpert": CheXpert,
    "nih-cxr14": NihCxr14,
    "rsna": Rsna,
    "siim-acr": SiimAcr,
    "vindr-cxr": VinDrCxr,
    "csv": Table,
}
