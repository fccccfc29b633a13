import pytest

from sdpoint.config import ConfigError
from sdpoint.export.about import About, load_labels

LABELS = About(labels_file="labels.txt")


@pytest.fixture
def path(tmp_path):
    (tmp_path / "labels.txt").write_text("n01 great white shark\nn02 tench\nn03\n")
    return tmp_path / "about.yaml"


def test_classes_are_called_as_their_folders_unless_a_file_names_them(path):
    assert load_labels(None, LABELS, ("n01", "n02")) == ("n01", "n02")
    assert load_labels(path, About(), ("n01", "n02")) == ("n01", "n02")
    assert load_labels(path, LABELS, ("n02", "n01")) == ("tench", "great white shark")


def test_a_class_without_a_label_and_a_file_that_is_not_there_are_refused(path):
    with pytest.raises(ConfigError, match="no label for n03"):
        load_labels(path, LABELS, ("n01", "n03"))
    (path.parent / "labels.txt").unlink()
    with pytest.raises(ConfigError, match=r"labels\.txt"):
        load_labels(path, LABELS, ("n01",))
