import shutil

import pytest

from sdpoint.checkpoint import load_calibrated
from sdpoint.config import DataConfig
from sdpoint.data import load_split, load_training
from sdpoint.export.about import About
from sdpoint.export.family import Sources
from sdpoint.run import Run


@pytest.fixture
def sources(made, tmp_path):
    run = Run(shutil.copytree(made.run.folder, tmp_path / "run"))
    trained = load_calibrated(run)
    _, held_out = load_training(made.data, trained.config.data)
    return Sources(
        trained,
        run,
        About(source="a test"),
        "licence",
        held_out,
        lambda: load_split(made.data, "test", DataConfig(size=16)),
    )
