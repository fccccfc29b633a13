"""tritonclient[grpc] as it is, with its default settings."""

import asyncio
import threading

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as aio
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(grpc_service):
    with triton.InferenceServerClient(grpc_service) as client:
        yield client


def image(pixels, of=triton):
    tensor = of.InferInput("image", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels)
    return [tensor]


def files(*pictures):
    tensor = triton.InferInput("image_bytes", [len(pictures)], "BYTES")
    tensor.set_data_from_numpy(np.array(pictures, dtype=np.object_))
    return [tensor]


def done(result):
    """The parameters of an answer."""
    parameters = result.get_response().parameters
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in parameters.items()}


def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.get_server_metadata().name == "dimmer"
    metadata = client.get_model_metadata("tiny")
    assert [i.name for i in metadata.inputs] == ["image", "image_bytes"]
    [version] = metadata.versions
    assert client.get_model_metadata("tiny", version) == metadata
    assert client.is_model_ready("tiny") and client.is_model_ready("tiny", version)
    for name, version in (("none", ""), ("tiny", "1")):
        with pytest.raises(InferenceServerException, match="unknown-model: ") as raised:
            client.is_model_ready(name, version)
        assert raised.value.status() == "StatusCode.NOT_FOUND"


def test_pixels_give_the_logits_of_training(client, golden):
    pixels, logits, tolerance = golden
    result = client.infer("tiny", image(pixels), request_id="mine")
    assert np.abs(result.as_numpy("logits") - logits).max() <= tolerance
    assert abs(result.as_numpy("probabilities").sum() - 1) < 1e-5
    assert result.get_response().id == "mine"
    named = client.infer("tiny", image(pixels), outputs=[triton.InferRequestedOutput("logits")])
    assert named.as_numpy("probabilities") is None
    assert np.abs(named.as_numpy("logits") - logits).max() <= tolerance


def test_several_pictures_keep_their_order(client, golden):
    pixels, _, tolerance = golden
    batch = np.concatenate([pixels, 255 - pixels, pixels])
    logits = client.infer("tiny", image(batch)).as_numpy("logits")
    assert logits.shape == (3, 3)
    assert np.abs(logits[0] - logits[2]).max() <= tolerance < np.abs(logits[0] - logits[1]).max()


def test_files(client, jpeg):
    assert client.infer("tiny", files(jpeg, jpeg)).as_numpy("probabilities").shape == (2, 3)


def test_a_version_is_named(client, jpeg):
    [version] = client.get_model_metadata("tiny").versions
    assert client.infer("tiny", files(jpeg), model_version=version).get_response().model_version == version


def test_classification(client, jpeg, labels):
    outputs = [triton.InferRequestedOutput("probabilities", class_count=2)]
    found = client.infer("tiny", files(jpeg), outputs=outputs).as_numpy("probabilities")
    assert found.shape == (1, 2)
    texts = [text.decode() for text in found[0]]
    values = [float(text.split(":")[0]) for text in texts]
    assert 1 >= values[0] >= values[1] >= 0
    assert all(labels[int(text.split(":")[1])] == text.split(":")[2] for text in texts)


def test_budgets(client, jpeg):
    assert done(client.infer("tiny", files(jpeg)))["instance"] == "full"
    cheap = done(client.infer("tiny", files(jpeg), parameters={"budget_cost": 0.4}))
    assert (cheap["instance"], cheap["budget_met"]) == ("p01-r500", True)
    header = done(client.infer("tiny", files(jpeg), headers={"inference-budget": "cost=0.4"}))
    assert header["instance"] == "p01-r500"
    timed = done(client.infer("tiny", files(jpeg), timeout=20_000_000))
    assert timed["reason"] == "most accurate in time within 20000 ms"
    deadline = done(client.infer("tiny", files(jpeg), client_timeout=30, timeout=60_000_000))
    assert deadline["reason"].startswith("most accurate in time within ")
    # The library of the client sends a deadline in three digits, rounded up.
    assert 0 < float(deadline["reason"].split()[-2]) <= 31_000


@pytest.mark.parametrize(
    ("model", "pictures", "parameters", "status", "code"),
    [
        ("none", None, {}, "NOT_FOUND", "unknown-model"),
        ("tiny", None, {"budget_cost": 7}, "INVALID_ARGUMENT", "invalid-budget"),
        ("tiny", None, {"budget_cost": 0.001}, "INVALID_ARGUMENT", "infeasible-budget"),
        ("tiny", b"no picture", {}, "INVALID_ARGUMENT", "unsupported-media"),
        ("tiny", b"x" * 21_000_000, {}, "RESOURCE_EXHAUSTED", "image-too-large"),
    ],
)
def test_errors(client, jpeg, model, pictures, parameters, status, code):
    with pytest.raises(InferenceServerException) as raised:
        client.infer(model, files(pictures or jpeg), parameters=parameters)
    assert raised.value.status() == f"StatusCode.{status}"
    assert raised.value.message().startswith(code)
    assert "expected: " in raised.value.message()


def test_a_header_and_parameters_together(client, jpeg):
    with pytest.raises(InferenceServerException, match="invalid-budget: ") as raised:
        client.infer("tiny", files(jpeg), parameters={"budget_cost": 1.0}, headers={"inference-budget": "cost=1"})
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_compression_is_refused_by_name(client, golden):
    with pytest.raises(InferenceServerException, match="not-implemented: the message is compressed") as raised:
        client.infer("tiny", image(golden[0]), compression_algorithm="gzip")
    assert raised.value.status() == "StatusCode.UNIMPLEMENTED"


def test_what_is_not_there_is_an_error_that_the_client_understands(client):
    for ask in (client.get_model_config, client.load_model, client.unload_model, client.get_trace_settings):
        with pytest.raises(InferenceServerException) as raised:
            ask("tiny")
        assert raised.value.status() == "StatusCode.UNIMPLEMENTED"


def test_statistics_and_index(client, jpeg):
    before = client.get_inference_statistics("tiny").model_stats[0].inference_count
    client.infer("tiny", files(jpeg, jpeg))
    [after] = client.get_inference_statistics().model_stats
    assert after.inference_count == before + 2
    assert after.inference_stats.success.ns > 0
    [entry] = client.get_model_repository_index().models
    assert (entry.name, entry.state) == ("tiny", "READY")


def test_32_at_once(client, golden):
    pixels, logits, tolerance = golden
    results = {}
    all_done = threading.Event()

    def take(number):
        def callback(result, error):
            results[number] = error or result
            if len(results) == 64:
                all_done.set()

        return callback

    for number in range(64):
        client.async_infer("tiny", image(pixels), take(number), request_id=str(number))
    assert all_done.wait(60)
    assert {n: r.get_response().id for n, r in results.items()} == {n: str(n) for n in range(64)}
    assert all(np.abs(r.as_numpy("logits") - logits).max() <= tolerance for r in results.values())


@pytest.mark.asyncio
async def test_aio(grpc_service, golden):
    pixels, logits, tolerance = golden
    async with aio.InferenceServerClient(grpc_service) as client:
        assert await client.is_server_ready()
        calls = (client.infer("tiny", image(pixels, aio), request_id=str(n)) for n in range(32))
        results = await asyncio.gather(*calls)
        with pytest.raises(InferenceServerException, match="infeasible-budget: "):
            await client.infer("tiny", image(pixels, aio), parameters={"budget_cost": 0.001})
    assert [r.get_response().id for r in results] == [str(n) for n in range(32)]
    assert all(np.abs(r.as_numpy("logits") - logits).max() <= tolerance for r in results)
