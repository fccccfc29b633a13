"""KServe's InferenceRESTClient as it is. It brings 460 MB of packages, so it is not in requirements.txt; by hand:

pip install kserve==0.21.0 pytest==9.2.0 pytest-asyncio==1.4.0 && pytest test_kserve.py
"""

import asyncio

import numpy as np
import pytest
import pytest_asyncio

kserve = pytest.importorskip("kserve", reason="kserve brings 460 MB of packages: run by hand, see test_kserve.py")

import httpx  # noqa: E402
from kserve.inference_client import RESTConfig  # noqa: E402

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def client():
    async with kserve.InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        yield client


@pytest.fixture
def url(service):
    return f"http://{service}"


def request(tensor, shape, datatype, array, binary, **more):
    given = kserve.InferInput(tensor, shape, datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return kserve.InferRequest("tiny", [given], **more)


async def test_health(client, url):
    assert await client.is_server_live(url) is True
    assert await client.is_server_ready(url) is True
    assert await client.is_model_ready(url, "tiny") is True
    assert await client.is_model_ready(url, "none") is False


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
async def test_pixels(client, url, golden, binary_in, binary_out):
    pixels, logits, tolerance = golden
    parameters = {"binary_data_output": binary_out, "budget_accuracy": 0.86}
    asked = request("image", list(pixels.shape), "UINT8", pixels, binary_in, parameters=parameters, request_id="mine")
    answer = await client.infer(url, asked, model_name="tiny")
    outputs = {output.name: output.as_numpy() for output in answer.outputs}
    assert np.abs(outputs["logits"] - logits).max() <= tolerance
    assert abs(outputs["probabilities"].sum() - 1) < 1e-5
    assert (answer.id, answer.model_name, answer.parameters["instance"]) == ("mine", "tiny", "full")


async def test_a_file(client, url, jpeg):
    asked = request("image_bytes", [1], "BYTES", np.array([jpeg], dtype=np.object_), True)
    answer = await client.infer(url, asked, model_name="tiny")
    assert [output.shape for output in answer.outputs] == [[1, 3], [1, 3]]


async def test_errors_have_their_words(client, url, golden):
    pixels, _, _ = golden
    asked = request("image", list(pixels.shape), "UINT8", pixels, True, parameters={"budget_cost": 0.001})
    with pytest.raises(httpx.HTTPStatusError, match=r"infeasible-budget: no instance is within cost 0\.001.*422"):
        await client.infer(url, asked, model_name="tiny")


async def test_32_at_once(client, url, golden):
    pixels, logits, tolerance = golden
    asked = [request("image", list(pixels.shape), "UINT8", pixels, True) for _ in range(32)]
    answers = await asyncio.gather(*(client.infer(url, one, model_name="tiny") for one in asked))
    for answer in answers:
        found = {output.name: output.as_numpy() for output in answer.outputs}
        assert np.abs(found["logits"] - logits).max() <= tolerance
