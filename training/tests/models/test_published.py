"""Compares the networks with published parameters and FLOPs, rounded like the published figure."""

import json

import pytest
from make_golden import FILE

GOLDEN = json.loads(FILE.read_text())

WRN = "Zagoruyko & Komodakis, arXiv 1605.07146"
PRERESNET = "He et al., arXiv 1603.05027, comparison on CIFAR (its ResNet-110 is the original one, as large)"
RESNEXT = "Xie et al., arXiv 1611.05431, CIFAR experiments"
DENSENET = "Huang et al., arXiv 1608.06993"
IMGCLSMOB = "osmr/imgclsmob, pytorch/README.md: exact parameters; FLOPs/2 count norms and activations too"
TORCHVISION = "torchvision.models: num_params, GFLOPS of the weights (a multiply and an add are one)"
TPU = "tensorflow/tpu, models/official/efficientnet/lite/README.md"

MILLIONS = [  # parameters in millions, as rounded in the paper
    ("wrn-28-10", 36.5, WRN),
    ("preresnet-110", 1.7, PRERESNET),
    ("preresnet-164-bottleneck", 1.7, PRERESNET),
    ("resnext-29-8x64d", 34.4, RESNEXT),
    ("densenet-bc-100-12", 0.8, DENSENET),
    ("densenet-bc-190-40", 25.6, DENSENET),
    ("efficientnet-lite0", 4.7, TPU),
    ("efficientnet-lite1", 5.4, TPU),
    ("efficientnet-lite2", 6.1, TPU),
]
EXACT = [
    ("wrn-16-10", 17_116_634, IMGCLSMOB),
    ("wrn-28-10", 36_479_194, IMGCLSMOB),
    ("wrn-40-8", 35_748_314, IMGCLSMOB),
    ("preresnet-20", 272_282, IMGCLSMOB),
    ("preresnet-56", 855_578, IMGCLSMOB),
    ("preresnet-110", 1_730_522, IMGCLSMOB),
    ("preresnet-164-bottleneck", 1_703_258, IMGCLSMOB),
    ("resnext-29-32x4d", 4_775_754, IMGCLSMOB),
    ("resnext-29-16x64d", 68_155_210, IMGCLSMOB),
    ("densenet-bc-100-12", 769_162, IMGCLSMOB),
    ("densenet-bc-190-40", 25_624_430, IMGCLSMOB),
    ("preresnet-imagenet-18", 11_687_848, IMGCLSMOB),
    ("preresnet-imagenet-50", 25_549_480, IMGCLSMOB + "; PreResNet-50b there"),
    ("preresnet-imagenet-101", 44_541_608, IMGCLSMOB + "; PreResNet-101b there"),
    ("resnext-imagenet-50-32x4d", 25_028_904, TORCHVISION),
    ("resnext-imagenet-101-32x4d", 44_177_704, IMGCLSMOB),
    ("resnet-imagenet-18", 11_689_512, TORCHVISION),
    ("resnet-imagenet-50", 25_557_032, TORCHVISION),
]
GIGA_MACS = [  # of convolution and linear layers, rounded to two digits; a PreResNet has those of the ResNet
    ("preresnet-imagenet-18", 1.81, TORCHVISION + ", resnet18"),
    ("preresnet-imagenet-50", 4.09, TORCHVISION + ", resnet50"),
    ("preresnet-imagenet-101", 7.80, TORCHVISION + ", resnet101"),
    ("resnext-imagenet-50-32x4d", 4.23, TORCHVISION),
    ("resnet-imagenet-18", 1.81, TORCHVISION),
    ("resnet-imagenet-50", 4.09, TORCHVISION),
]
MEGA_MACS = [  # all layers counted: ours, without norms and activations, are less by up to 4 %
    ("wrn-16-10", 2_414.04, IMGCLSMOB),
    ("wrn-28-10", 5_246.98, IMGCLSMOB),
    ("wrn-40-8", 5_176.90, IMGCLSMOB),
    ("preresnet-20", 41.27, IMGCLSMOB),
    ("preresnet-56", 127.03, IMGCLSMOB),
    ("preresnet-110", 255.68, IMGCLSMOB),
    ("preresnet-164-bottleneck", 255.08, IMGCLSMOB),
    ("resnext-29-32x4d", 780.55, IMGCLSMOB),
    ("resnext-29-16x64d", 10_709.34, IMGCLSMOB),
    ("densenet-bc-100-12", 298.45, IMGCLSMOB),
    ("densenet-bc-190-40", 9_400.45, IMGCLSMOB),
    ("preresnet-imagenet-18", 1_820.56, IMGCLSMOB),
    ("preresnet-imagenet-50", 4_107.97, IMGCLSMOB),
    ("preresnet-imagenet-101", 7_827.97, IMGCLSMOB),
    ("resnext-imagenet-101-32x4d", 8_003.45, IMGCLSMOB),
]


@pytest.mark.parametrize(("name", "millions", "source"), MILLIONS)
def test_parameters_are_those_of_the_paper(name, millions, source):
    assert round(GOLDEN[name]["parameters"] / 1e6, 1) == millions, source


@pytest.mark.parametrize(("name", "parameters", "source"), EXACT)
def test_parameters_are_those_of_another_implementation(name, parameters, source):
    assert GOLDEN[name]["parameters"] == parameters, source


@pytest.mark.parametrize(("name", "macs", "source"), GIGA_MACS)
def test_flops_are_twice_the_published_macs(name, macs, source):
    assert round(GOLDEN[name]["flops"]["full"] / 2e9, 2) == macs, source


@pytest.mark.parametrize(("name", "macs", "source"), MEGA_MACS)
def test_flops_are_just_below_a_count_that_includes_all_layers(name, macs, source):
    assert 0.96 < GOLDEN[name]["flops"]["full"] / 2e6 / macs < 1, source
