"""tritonclient[http] as it is, with its default settings: the client that waits."""

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(service):
    with triton.InferenceServerClient(service) as client:
        yield client


def image(pixels, binary=True):
    tensor = triton.InferInput("image", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    return [tensor]


def files(*pictures):
    tensor = triton.InferInput("image_bytes", [len(pictures)], "BYTES")
    tensor.set_data_from_numpy(np.array(pictures, dtype=np.object_))
    return [tensor]


def done(result):
    return result.get_response()["parameters"]


def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.get_server_metadata()["name"] == "dimmer"
    metadata = client.get_model_metadata("tiny")
    assert [i["name"] for i in metadata["inputs"]] == ["image", "image_bytes"]
    [version] = metadata["versions"]
    assert client.get_model_metadata("tiny", version) == metadata
    assert client.is_model_ready("tiny") and client.is_model_ready("tiny", version)
    assert not client.is_model_ready("none") and not client.is_model_ready("tiny", "1")


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_pixels_give_the_logits_of_training(client, golden, binary_in, binary_out):
    pixels, logits, tolerance = golden
    outputs = None if binary_out is None else [triton.InferRequestedOutput("logits", binary_data=binary_out)]
    result = client.infer("tiny", image(pixels, binary_in), outputs=outputs, request_id="mine")
    assert np.abs(result.as_numpy("logits") - logits).max() <= tolerance
    assert result.get_response()["id"] == "mine"
    if outputs is None:
        assert abs(result.as_numpy("probabilities").sum() - 1) < 1e-5


def test_several_pictures_keep_their_order(client, golden):
    pixels, _, tolerance = golden
    batch = np.concatenate([pixels, 255 - pixels, pixels])
    logits = client.infer("tiny", image(batch)).as_numpy("logits")
    assert logits.shape == (3, 3)
    assert np.abs(logits[0] - logits[2]).max() <= tolerance < np.abs(logits[0] - logits[1]).max()


def test_files(client, jpeg):
    result = client.infer("tiny", files(jpeg, jpeg))
    assert result.as_numpy("probabilities").shape == (2, 3)


def test_a_version_is_named(client, jpeg):
    [version] = client.get_model_metadata("tiny")["versions"]
    assert client.infer("tiny", files(jpeg), model_version=version).get_response()["model_version"] == version


@pytest.mark.parametrize("binary", [True, False])
def test_classification(client, jpeg, labels, binary):
    outputs = [triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)]
    found = client.infer("tiny", files(jpeg), outputs=outputs).as_numpy("probabilities")
    assert found.shape == (1, 2)
    texts = [text.decode() if isinstance(text, bytes) else text for text in found[0]]
    values = [float(text.split(":")[0]) for text in texts]
    assert 1 >= values[0] >= values[1] >= 0
    assert all(labels[int(text.split(":")[1])] == text.split(":")[2] for text in texts)


def test_budgets(client, jpeg):
    assert done(client.infer("tiny", files(jpeg)))["instance"] == "full"
    cheap = done(client.infer("tiny", files(jpeg), parameters={"budget_cost": 0.4}))
    assert (cheap["instance"], cheap["budget_met"]) == ("p01-r500", True)
    header = done(client.infer("tiny", files(jpeg), headers={"Inference-Budget": "cost=0.4"}))
    assert header["instance"] == "p01-r500"
    timed = done(client.infer("tiny", files(jpeg), timeout=20_000_000))
    assert timed["reason"] == "most accurate in time within 20000 ms"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression(client, golden, algorithm):
    pixels, logits, tolerance = golden
    result = client.infer(
        "tiny",
        image(pixels),
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert np.abs(result.as_numpy("logits") - logits).max() <= tolerance


@pytest.mark.parametrize(
    ("model", "pictures", "parameters", "status", "code"),
    [
        ("none", None, {}, "404", "unknown-model"),
        ("tiny", None, {"budget_cost": 7}, "400", "invalid-budget"),
        ("tiny", None, {"budget_cost": 0.001}, "422", "infeasible-budget"),
        ("tiny", b"no picture", {}, "415", "unsupported-media"),
    ],
)
def test_errors(client, jpeg, model, pictures, parameters, status, code):
    with pytest.raises(InferenceServerException) as raised:
        client.infer(model, files(pictures or jpeg), parameters=parameters)
    assert raised.value.status() == status
    assert raised.value.message().startswith(f"{code}")
    assert "expected: " in raised.value.message()


def test_what_is_not_there_is_an_error_that_the_client_understands(client):
    for ask in (client.get_model_config, client.load_model, client.unload_model, client.get_trace_settings):
        with pytest.raises(InferenceServerException, match="not-found: "):
            ask("tiny")


def test_statistics_and_index(client, jpeg):
    before = client.get_inference_statistics("tiny")["model_stats"][0]["inference_count"]
    client.infer("tiny", files(jpeg, jpeg))
    [after] = client.get_inference_statistics()["model_stats"]
    assert after["inference_count"] == before + 2
    [entry] = client.get_model_repository_index()
    assert (entry["name"], entry["state"]) == ("tiny", "READY")


def test_32_at_once(service, golden):
    pixels, logits, tolerance = golden
    with triton.InferenceServerClient(service, concurrency=32) as client:
        pending = [client.async_infer("tiny", image(pixels), request_id=str(n)) for n in range(64)]
        results = [p.get_result() for p in pending]
    assert [r.get_response()["id"] for r in results] == [str(n) for n in range(64)]
    assert all(np.abs(r.as_numpy("logits") - logits).max() <= tolerance for r in results)
