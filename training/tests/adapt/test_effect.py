import torch

from sdpoint.adapt.effect import effect_rows
from sdpoint.adapt.statistics import trained_statistics
from sdpoint.data import Split
from sdpoint.instance import FULL, Instance


def test_full_agrees_with_itself_and_every_step_is_counted(model, images, config):
    trained = trained_statistics(model)
    instances = [FULL, Instance(1, 0.5)]
    steps = {name: dict.fromkeys((i.id for i in instances), trained) for name in ("inserted", "distilled")}
    labelled = Split(images[:5], torch.zeros(5, dtype=torch.long), ("a", "b", "c"), ("",) * 5)
    full, cheap = effect_rows(model, instances, steps, images, labelled, config)
    assert full["distilled"]["agreement"]["hits"] == full["distilled"]["agreement"]["n"] == 20
    assert (full["id"], full["share"], cheap["id"]) == ("full", 1.0, "p01-r500") and cheap["share"] < 0.5
    assert cheap["inserted"] == cheap["distilled"] and cheap["inserted"]["top1"]["n"] == 5
    assert "top1" not in effect_rows(model, instances, steps, images, None, config)[0]["inserted"]
