"""The check of the list of labels."""

import json

import pytest

from skymill.engine.errors import SkymillError
from skymill.ztf.label_check import require_sound

LIMITS = {"max_rejected_labels_fraction": 0.02, "max_conflicting_labels_fraction": 0.1}


def check(tmp_path, **counts):
    problems = tmp_path / "problems.jsonl"
    entries = [
        {"reason": "conflict", "detail": "ZTF18a"},
        {"reason": "unknown_class", "detail": "Quasar", "rows": 3},
        *({"reason": "wrong_fields", "line": line, "detail": "garbage"} for line in range(9)),
    ]
    problems.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    known = {"rows": 100, "rejected": 0, "objects": 100, "undecided_objects": 0}
    require_sound({**known, "rejected_by_reason": {"wrong_fields": 9}, **counts}, problems, LIMITS)


def test_losses_within_the_limits_pass(tmp_path):
    check(tmp_path, rejected=2, undecided_objects=10)


def test_too_many_rejected_rows_fail_with_the_name_of_the_limit_and_the_first_rows(tmp_path):
    with pytest.raises(SkymillError, match=r"9 of 100 rows.*9\.00%, allowed 2\.00%") as caught:
        check(tmp_path, rejected=9)
    message = str(caught.value)
    assert "wrong_fields 9" in message
    assert "limits.max_rejected_labels_fraction" in message
    assert message.count("garbage") == 5
    assert "Quasar" not in message


def test_too_many_conflicts_fail_with_the_name_of_the_limit(tmp_path):
    with pytest.raises(SkymillError, match="11 of 100 objects") as caught:
        check(tmp_path, undecided_objects=11)
    assert "limits.max_conflicting_labels_fraction" in str(caught.value)
    assert "ZTF18a" in str(caught.value)
    assert "garbage" not in str(caught.value)
