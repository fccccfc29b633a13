from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import CLASSES, picture
from PIL import Image

from sdpoint.adapt.crops import Crops, Policy, Request
from sdpoint.adapt.distil import STATE, Distillation, Lesson, distil_all
from sdpoint.adapt.pause import Pause
from sdpoint.adapt.settings import Distil
from sdpoint.adapt.statistics import divergence
from sdpoint.adapt.store import Store
from sdpoint.adapt.student import Student
from sdpoint.adapt.teacher import Answers, Teacher
from sdpoint.data import DataError, normalise
from sdpoint.instance import FULL, Instance
from sdpoint.run import Run, RunError

INSTANCES = [FULL, Instance(1, 0.5), Instance(3, 0.5)]
ASKED = {"seed": 1}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("pool"), np.random.default_rng(0)
    files = [folder / f"{index}.png" for index in range(30)]
    for index, file in enumerate(files):
        Image.fromarray(picture(random, CLASSES[index % 3], 20, 0.2)).save(file)
    store = Store(folder / "cache", 20, "cubic")
    store.fill([Path(file) for file in files], 0, Pause())
    return store.pool(files)


@pytest.fixture
def settings(config):
    return replace(
        config,
        data=replace(config.data, workers=0),
        train=replace(config.train, batch=6, lr=0.01, average=0.9, checkpoint_minutes=0),
    )


@pytest.fixture
def make(model, pool, settings):
    def made(distil, config=settings):
        student = Student(model, INSTANCES, distil)
        return Distillation(student, Crops(pool, Policy.of(config, distil)), config, distil)

    return made


@pytest.fixture
def follow(model, settings, tmp_path):
    """Run a distillation to its end. Returns the resulting tensors."""

    def followed(work, folder, teacher=None, pause=None, look=None):
        answers = Answers(tmp_path / "cache", {}, len(work.crops), 3)
        teacher = teacher or Teacher(model, settings, work.distil)
        distil_all(work, answers, teacher, Run(tmp_path / folder), ASKED, pause or Pause(), look or (lambda _: {}))
        return {name: value.detach().clone() for name, value in work.values.items()}

    return followed


@pytest.mark.parametrize("shared", ["nothing", "classifier", "all"])
def test_instances_learn_to_answer_as_the_teacher(make, follow, model, settings, pool, shared):
    work = make(Distil(steps=120, shared=shared, shared_lr=0.001, crop_sets=2))
    crops = torch.cat([work.crops[Request(number, tuple(range(30)))] for number in (0, 1)])
    target = Teacher(model, settings, work.distil)(crops)

    def costs():
        return [divergence(logits(work, crops, i), target).item() for i in INSTANCES]

    before = costs()
    follow(work, "run")
    work.student.load(work.values)
    full, *cheap = costs()
    assert before[0] == pytest.approx(0, abs=1e-6) and full < 0.05
    assert all(now < 0.6 * then for now, then in zip(cheap, before[1:], strict=True))


def logits(work, images, instance):
    with torch.no_grad():
        return work.student.logits(normalise(images, work.config.data), instance)


def test_a_killed_run_ends_with_the_same_weights(make, follow, model, settings, tmp_path):
    distil = Distil(steps=14, shared="all", crop_sets=2)
    whole = follow(make(distil), "whole")
    often = replace(settings, train=replace(settings.train, checkpoint_minutes=1e-9))  # after each step
    calls, original = [], Teacher(model, settings, distil)

    def killed(images):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return original(images)

    (tmp_path / "cache").rename(tmp_path / "other")  # the answers of the whole run are not there
    with pytest.raises(KeyboardInterrupt):
        follow(make(distil, often), "killed", teacher=killed)
    work = make(distil, often)
    resumed = follow(work, "killed")
    assert work.steps_done == 14
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    assert any(not torch.equal(value, make(distil).values[name]) for name, value in whole.items())


def test_a_killed_run_repeats_at_most_the_steps_after_its_checkpoint(make, follow, settings, tmp_path, capsys):
    distil = Distil(steps=6)
    follow(make(distil), "run")
    work = make(distil)
    work.load(tmp_path / "run" / STATE, ASKED)
    assert work.steps_done == 6 and work.seconds > 0
    follow(make(distil), "run")
    assert "resumed after step 6 of 6" in capsys.readouterr().err


def test_a_checkpoint_of_another_distillation_is_refused(make, follow, tmp_path):
    follow(make(Distil(steps=2)), "run")
    with pytest.raises(RunError, match=r"another distillation \(seed differ\)"):
        make(Distil(steps=2)).load(tmp_path / "run" / STATE, {"seed": 2})


def test_the_teacher_answers_each_crop_once(make, follow, model, settings):
    distil, calls = Distil(steps=20, crop_sets=2), []
    original = Teacher(model, settings, distil)
    follow(make(distil), "run", teacher=lambda images: calls.append(1) or original(images))
    assert len(calls) == 10, "two sets of five batches; then they are known"


def test_every_instance_is_trained_equally_often_in_an_order_that_varies(make):
    work = make(Distil(shared="all"))
    drawn = [work.instance(step).id for step in range(30)]
    assert set(Counter(drawn).values()) == {10}
    assert len({tuple(drawn[k : k + 3]) for k in range(0, 30, 3)}) > 2
    assert [work.instance(step).id for step in range(30)] == drawn


def test_only_the_trained_instance_and_shared_weights_move(make, model, settings):
    work = make(Distil(steps=9, shared="classifier", shared_lr=0.01))
    before = {name: value.detach().clone() for name, value in work.student.tensors().items()}
    images = torch.randint(256, (6, 16, 16, 3), dtype=torch.uint8)
    work.step(Lesson(images, torch.randn(6, 3), INSTANCES[1]))
    moved = {name for name, value in work.student.tensors().items() if not torch.equal(value, before[name])}
    assert moved and {name.split("/")[0] for name in moved} == {"p01-r500", "shared"}
    state = model.state_dict()
    assert all(torch.equal(work.student.shared[n], state[n]) for n in work.student.shared if not n.startswith("fc."))


def test_the_run_stops_while_the_file_exists_and_saves_first(make, follow, tmp_path):
    quiet, saved = tmp_path / "quiet", []
    quiet.touch()

    def sleep(_):
        saved.append((tmp_path / "run" / STATE).exists())
        if len(saved) == 2:
            quiet.unlink()

    follow(make(Distil(steps=3)), "run", pause=Pause(quiet, sleep))
    assert saved == [True, True]


def test_the_log_has_losses_rates_and_looks(make, follow, tmp_path):
    follow(make(Distil(steps=6, look_every=2)), "run", look=lambda values: {"seen": len(values)})
    run = Run(tmp_path / "run")
    last = run.records("distil")[-1]
    assert last["step"] == 6 and set(last["loss"]) == {"p01-r500", "p03-r500"} and last["hoursLeft"] == 0
    assert last["picturesPerSecond"] > 0
    assert [record["step"] for record in run.records("held-out")] == [2, 4], "the end is measured by others"


def test_a_loss_that_is_no_number_is_an_error(make):
    work = make(Distil(steps=2))
    images = torch.zeros(6, 16, 16, 3, dtype=torch.uint8)
    with pytest.raises(FloatingPointError, match=r"p01-r500: loss is nan at step 0: lower train\.lr"):
        work.step(Lesson(images, torch.full((6, 3), float("nan")), INSTANCES[1]))


def test_too_few_pictures_for_a_batch_are_refused(make, settings):
    with pytest.raises(DataError, match="30 pictures do not fill a batch of 31"):
        make(Distil(), replace(settings, train=replace(settings.train, batch=31)))
