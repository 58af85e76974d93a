"""Oracle: groups counted by hand."""

from eclip.data.rejections import Group, grouped


def test_rejections_that_differ_in_names_only_are_one_group():
    rejected = [
        {"file": "m.csv", "row": "a", "reason": "no report"},
        {"file": "m.csv", "row": "b", "reason": "/x/1.jpg: not an image that can be read (no such file)"},
        {"file": "m.csv", "row": "c", "reason": "/x/2.jpg: not an image that can be read (no such file)"},
        {"file": "m.csv", "row": "d", "reason": "label 'Edema' is '3'; expected 1, 0, -1 or blank"},
        {"file": "m.csv", "row": "e", "reason": "label 'Mass' is '0.5'; expected 1, 0, -1 or blank"},
        {"file": "m.csv", "row": "f", "reason": "label 'Mass' is '7'; expected 1, 0, -1 or blank"},
        {"file": "m.csv", "row": "", "reason": "no report"},
    ]
    groups = grouped(rejected)
    assert [group.count for group in groups] == [3, 2, 2]
    assert groups[0].example == "m.csv, d: label 'Edema' is '3'; expected 1, 0, -1 or blank"
    assert groups[1] == Group(2, "no report", "m.csv, a: no report")
    assert groups[2].reason == "not an image that can be read (no such file)"
    assert grouped([]) == []
