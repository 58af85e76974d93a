from collections import Counter
from itertools import product

import numpy as np
import pytest

from eclip.data.phantom.findings import FINDING_NAMES, Finding, compatible, sample_findings


@pytest.fixture(scope="module")
def studies() -> list[tuple[Finding, ...]]:
    rng = np.random.default_rng(0)
    return [sample_findings(rng) for _ in range(4000)]


def test_counts_follow_the_stated_shares(studies):
    counts = Counter(len(findings) for findings in studies)
    for count, share in {0: 0.25, 1: 0.55, 2: 0.20}.items():
        # Five standard errors of a binomial share.
        assert abs(counts[count] / len(studies) - share) < 5 * np.sqrt(share * (1 - share) / len(studies))
    assert set(counts) == {0, 1, 2}


def test_names_are_balanced(studies):
    counts = Counter(finding.name for findings in studies for finding in findings)
    assert set(counts) == set(FINDING_NAMES)
    # Compatibility favours some as the second of two: not exactly even.
    assert max(counts.values()) < 1.6 * min(counts.values())


def test_single_findings_are_evenly_drawn(studies):
    counts = Counter(findings[0].name for findings in studies if len(findings) == 1)
    expected = sum(counts.values()) / len(FINDING_NAMES)
    assert all(abs(count - expected) < 5 * np.sqrt(expected) for count in counts.values())


def test_pairs_are_compatible_and_values_in_range(studies):
    for findings in studies:
        assert all(0 <= f.severity <= 1 and 0 <= f.subtlety <= 1 for f in findings)
        if len(findings) == 2:
            assert compatible(*findings)


def test_places_make_sense(studies):
    for finding in (finding for findings in studies for finding in findings):
        assert (finding.side == "none") == (finding.name == "Cardiomegaly") == (finding.zone == "heart")
        assert (finding.zone == "diffuse") == (finding.name == "Edema")
        if finding.zone == "retrocardiac":
            assert finding.side == "left"


def test_compatible_is_symmetric_and_excludes_overlap(studies):
    singles = list({(f.name, f.side, f.zone): f for findings in studies for f in findings}.values())
    for one, other in product(singles, singles):
        assert compatible(one, other) == compatible(other, one)
        assert not compatible(one, one)
    effusion = Finding("Pleural Effusion", "bilateral", "basal", 0.5, 0.2)
    assert not compatible(effusion, Finding("Consolidation", "left", "lower", 0.5, 0.2))
    assert compatible(effusion, Finding("Consolidation", "left", "upper", 0.5, 0.2))
    one_sided = Finding("Pleural Effusion", "right", "basal", 0.5, 0.2)
    assert compatible(one_sided, Finding("Consolidation", "left", "lower", 0.5, 0.2))


def test_same_seed_same_findings():
    first, second = (sample_findings(np.random.default_rng(7)) for _ in range(2))
    assert first == second
