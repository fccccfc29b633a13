import pytest

from sdpoint.instance import FULL, Instance, enumerate_instances


@pytest.mark.parametrize(
    ("instance", "id"),
    [(FULL, "full"), (Instance(2, 0.5), "p02-r500"), (Instance(12, 0.75), "p12-r750"), (Instance(1, 0.25), "p01-r250")],
)
def test_ids(instance, id):
    assert instance.id == id


@pytest.mark.parametrize(("p", "r"), [(-1, 0.5), (0, 0.5), (1, 1.0), (1, 0.0), (1, 1.5)])
def test_what_is_no_instance_is_refused(p, r):
    with pytest.raises(ValueError):
        Instance(p, r)


def test_enumeration_starts_with_full_and_covers_points_times_ratios():
    instances = enumerate_instances(6, (0.75, 0.5))
    assert [i.id for i in instances[:4]] == ["full", "p01-r500", "p01-r750", "p02-r500"]
    assert len(set(instances)) == len(instances) == 13
