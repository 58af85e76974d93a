"""The table of tasks."""

from eclip.evaluation.tasks import TASKS, headlines


def test_the_tasks_have_the_names_of_the_command_line():
    assert [name for name, task in TASKS.items() if task.default] == [
        "zero-shot",
        "linear-probe",
        "retrieval",
        "embedding-quality",
        "grounding",
        "subgroups",
    ]
    assert set(TASKS) - {name for name, task in TASKS.items() if task.default} == {"reports", "robustness"}


def test_headlines_leave_out_classes_variants_and_floors():
    names = ["accuracy", "auroc", "auroc/Edema", "image_to_text_mrr", "image_to_text_mrr_any_equal_text"]
    names += ["image_to_text_recall@5_image_blind", "reader_nss"]
    assert headlines(names) == ["accuracy", "auroc", "image_to_text_mrr"]
    probe = [f"{m}@{of}" for of in ("1%", "100%", "4-shot") for m in ("accuracy", "macro_f1", "auroc")]
    assert [name for name in probe if name not in headlines(probe)] == ["macro_f1@1%", "macro_f1@4-shot"]
