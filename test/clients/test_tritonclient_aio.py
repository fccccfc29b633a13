"""tritonclient.http.aio as it is, with its default settings."""

import asyncio

import numpy as np
import pytest
import pytest_asyncio
import tritonclient.http.aio as triton
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def client(service):
    async with triton.InferenceServerClient(service) as client:
        yield client


def image(pixels):
    tensor = triton.InferInput("image", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels)
    return [tensor]


def files(*pictures):
    tensor = triton.InferInput("image_bytes", [len(pictures)], "BYTES")
    tensor.set_data_from_numpy(np.array(pictures, dtype=np.object_))
    return [tensor]


async def test_health_and_metadata(client):
    assert await client.is_server_live() and await client.is_server_ready()
    assert (await client.get_server_metadata())["name"] == "dimmer"
    [version] = (await client.get_model_metadata("tiny"))["versions"]
    assert await client.is_model_ready("tiny", version)
    assert not await client.is_model_ready("none")


async def test_pixels_and_files(client, golden, jpeg):
    pixels, logits, tolerance = golden
    result = await client.infer("tiny", image(pixels), request_id="mine")
    assert np.abs(result.as_numpy("logits") - logits).max() <= tolerance
    assert result.get_response()["id"] == "mine"
    labels = [triton.InferRequestedOutput("probabilities", class_count=1)]
    result = await client.infer("tiny", files(jpeg), outputs=labels, parameters={"budget_cost": 0.4})
    assert result.as_numpy("probabilities").shape == (1, 1)
    assert result.get_response()["parameters"]["instance"] == "p01-r500"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
async def test_compression(client, golden, algorithm):
    pixels, logits, tolerance = golden
    algorithms = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    result = await client.infer("tiny", image(pixels), **algorithms)
    assert np.abs(result.as_numpy("logits") - logits).max() <= tolerance


async def test_errors(client, jpeg):
    with pytest.raises(InferenceServerException, match="infeasible-budget: ") as raised:
        await client.infer("tiny", files(jpeg), parameters={"budget_cost": 0.001})
    assert raised.value.status() == "422"
    with pytest.raises(InferenceServerException, match="unknown-model: "):
        await client.get_model_metadata("none")


async def test_statistics_and_index(client):
    assert (await client.get_inference_statistics("tiny"))["model_stats"][0]["name"] == "tiny"
    assert [m["name"] for m in await client.get_model_repository_index()] == ["tiny"]


async def test_32_at_once(client, golden):
    pixels, logits, tolerance = golden
    results = await asyncio.gather(*(client.infer("tiny", image(pixels), request_id=str(n)) for n in range(32)))
    assert [r.get_response()["id"] for r in results] == [str(n) for n in range(32)]
    assert all(np.abs(r.as_numpy("logits") - logits).max() <= tolerance for r in results)
