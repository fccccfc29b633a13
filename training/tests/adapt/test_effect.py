import torch

from sdpoint.adapt.effect import counted, effect_rows
from sdpoint.adapt.statistics import trained_statistics
from sdpoint.data import Split
from sdpoint.evaluate import logits_of
from sdpoint.instance import FULL, Instance


def test_full_agrees_with_itself_and_every_step_is_counted(model, images, config):
    trained = trained_statistics(model)
    instances = [FULL, Instance(1, 0.5)]
    steps = {name: dict.fromkeys((i.id for i in instances), trained) for name in ("inserted", "distilled")}
    answers = logits_of(model, FULL, {}, images[:5], config.data).argmax(1)
    wrong = (answers + torch.tensor([0, 0, 0, 1, 1])) % 3
    labelled = Split(images[:5], wrong, ("a", "b", "c"), ("",) * 5)
    full, cheap = effect_rows(model, instances, steps, images, labelled, config)
    assert full["distilled"]["agreement"]["hits"] == full["distilled"]["agreement"]["n"] == 20
    assert (full["id"], full["share"], cheap["id"]) == ("full", 1.0, "p01-r500") and cheap["share"] < 0.5
    assert full["inserted"]["top1"] == counted(3, 5) and cheap["inserted"]["top1"]["n"] == 5
    cheaps = logits_of(model, instances[1], trained, images, config.data).argmax(1)
    same = int((cheaps == logits_of(model, FULL, {}, images, config.data).argmax(1)).sum())
    assert cheap["inserted"]["agreement"] == counted(same, 20)
    assert "top1" not in effect_rows(model, instances, steps, images, None, config)[0]["inserted"]
