"""Open-I (Indiana University) in both releases: the NLM's XML files, and Kaggle's two tables."""

import csv
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from PIL import Image

FRONTAL, LATERAL = "Frontal", "Lateral"
# Number of a report; its four sections; its MeSH headings; what is on the request; its images: name and view.
REPORTS = [
    {
        "uid": "1",
        "comparison": "None.",
        "indication": "Positive TB test",
        "findings": "The cardiac silhouette is within normal limits. There are no XXXX of a pleural effusion.",
        "impression": "Normal chest x-XXXX.",
        "major": ["normal"],
        "caption": "Xray Chest PA and Lateral",
        "images": [("IM-0001-4001", FRONTAL), ("IM-0001-3001", LATERAL)],
    },
    {
        "uid": "2",
        "comparison": "XXXX, XXXX",
        "indication": 'XXXX-year-old male, "bariatric" surgery',
        "findings": "Borderline cardiomegaly.\nMidline sternotomy XXXX. Enlarged pulmonary arteries & clear lungs.",
        "impression": "No acute pulmonary findings.",
        "major": ["Cardiomegaly/borderline", "Pulmonary Artery/enlarged"],
        "caption": "Chest, 2 views, frontal and lateral",
        "images": [("IM-0652-1001", FRONTAL), ("IM-0652-2001", LATERAL)],
    },
    {
        "uid": "3",
        "comparison": "",
        "indication": "rib pain",
        "findings": "",
        "impression": "Bibasilar atelectasis; <5 mm nodule.",
        "major": [
            "Pulmonary Atelectasis/base/bilateral",
            "Nodule/lung",
            "Thickening/pleura/apex",
            "Scoliosis",
        ],
        "caption": "Xray Chest PA and Lateral",
        "images": [("IM-1384-1001", FRONTAL), ("IM-1384-2001", FRONTAL), ("IM-1384-3001", LATERAL)],
    },
    {
        "uid": "5",
        "comparison": "",
        "indication": "",
        "findings": "Tracheostomy tube in place.",
        "impression": "",
        "major": ["Tube, Inserted/trachea", "Fractures, Bone/ribs/healed"],
        "caption": "PA and lateral chest",
        "images": [("IM-2117-1003002", FRONTAL)],
    },
    {
        "uid": "6",
        "comparison": "PA and lateral chest XXXX, XXXX.",
        "indication": "",
        "findings": "No acute bony abnormality.",
        "impression": "No acute cardiopulmonary process.",
        "major": ["No Indexing"],
        "caption": "PA and lateral chest",
        "images": [("IM-2192-1001", FRONTAL), ("IM-2192-2001", LATERAL)],
    },
    {
        "uid": "15",
        "comparison": "None.",
        "indication": "cough",
        "findings": "Clear lungs.",
        "impression": "No acute disease.",
        "major": [],
        "caption": "CHEST PA & LATERAL",
        "images": [("IM-0390-1001", FRONTAL)],
    },
    {  # no frontal image
        "uid": "1000",
        "comparison": "None",
        "indication": "dyspnea",
        "findings": "Right pleural effusion, right upper lobe infiltrate.",
        "impression": "Pneumonia.",
        "major": [
            "Pleural Effusion/right/small",
            "Infiltrate/lung/upper lobe/right",
            "Pneumonia/upper lobe/right",
        ],
        "caption": "PA and Lateral",
        "images": [("IM-0003-2001", LATERAL)],
    },
    {  # no image at all: Kaggle leaves these reports out
        "uid": "3999",
        "comparison": "",
        "indication": "",
        "findings": "Clear lungs.",
        "impression": "Normal.",
        "major": ["normal"],
        "caption": "",
        "images": [],
    },
]

_XML = """<?xml version="1.0" encoding="utf-8"?><eCitation>
   <meta type="rr"/>
   <uId id="CXR{uid}"/>
   <pmcId id="{uid}"/>
   <docSource>CXR</docSource>
   <IUXRId id="{uid}"/>
   <MedlineCitation Owner="Indiana University" Status="supplied by publisher">
      <Article PubModel="Electronic">
         <ArticleTitle>Indiana University Chest X-ray Collection</ArticleTitle>
         <Abstract>
{sections}
         </Abstract>
      </Article>
   </MedlineCitation>
   <MeSH>
{terms}
   </MeSH>
{images}
</eCitation>
"""
_IMAGE = """   <parentImage id={id}>
      <figureId>F{number}</figureId>
      <caption>{caption}</caption>
      <panel type="single">
         <url>/hadoop/storage/radiology/extract/{name}.jpg</url>
      </panel>
   </parentImage>"""


def nlm_name(uid, image):
    """An image's id in the XML files: those of the first report have its number twice."""
    return f"CXR{uid}_{uid}_{image}" if uid == "1" else f"CXR{uid}_{image}"


def gray(number, index):
    """The pixels of one image (60, 80): squares of random gray, others in every image."""
    squares = np.random.default_rng([number, index]).integers(0, 255, (6, 8), dtype=np.uint8)
    return np.kron(squares, np.ones((10, 10), np.uint8))


def xml_of(report):
    """The file of one report, as the NLM released it."""
    sections = "\n".join(
        f'            <AbstractText Label="{name.upper()}">{escape(report[name])}</AbstractText>'
        if report[name] else f'            <AbstractText Label="{name.upper()}"/>'
        for name in ("comparison", "indication", "findings", "impression")
    )  # fmt: skip
    terms = [f"      <major>{escape(term)}</major>" for term in report["major"]]
    terms += ["      <automatic>cardiomegaly</automatic>"]  # by a program; not read
    images = "\n".join(
        _IMAGE.format(id=quoteattr(name), name=name, number=number, caption=escape(report["caption"]))
        for number, name in enumerate((nlm_name(report["uid"], image) for image, _ in report["images"]), 1)
    )
    return _XML.format(uid=report["uid"], sections=sections, terms="\n".join(terms), images=images)


def write_nlm(root, reports=REPORTS):
    """The unpacked NLMCXR_reports.tgz and NLMCXR_png.tgz."""
    (root / "ecgen-radiology").mkdir(parents=True, exist_ok=True)
    (root / "NLMCXR_png").mkdir(parents=True, exist_ok=True)
    for number, report in enumerate(reports):
        (root / "ecgen-radiology" / f"{report['uid']}.xml").write_text(xml_of(report), encoding="utf-8")
        for index, (image, _) in enumerate(report["images"]):
            name = nlm_name(report["uid"], image)
            Image.fromarray(gray(number, index)).save(root / "NLMCXR_png" / f"{name}.png")


def write_kaggle(root, reports=REPORTS):
    """Kaggle's raddar/chest-xrays-indiana-university."""
    images = root / "images" / "images_normalized"
    images.mkdir(parents=True, exist_ok=True)
    with (root / "indiana_reports.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        sections = ["indication", "comparison", "findings", "impression"]
        table.writerow(["uid", "MeSH", "Problems", "image", *sections])
        for report in (report for report in reports if report["images"]):
            problems = ";".join(term.split("/")[0] for term in report["major"])
            mesh = ";".join(report["major"])
            texts = [report[name] for name in sections]
            table.writerow([report["uid"], mesh, problems, report["caption"], *texts])
    with (root / "indiana_projections.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["uid", "filename", "projection"])
        for number, report in enumerate(reports):
            for index, (image, view) in enumerate(report["images"]):
                name = f"{report['uid']}_{image}.dcm.png"
                table.writerow([report["uid"], name, view])
                Image.fromarray(gray(number, index)).save(images / name)


def write(root):
    """Both releases side by side."""
    write_nlm(root)
    write_kaggle(root)
