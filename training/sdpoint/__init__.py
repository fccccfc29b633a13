"""SDPoint: one network, trained with stochastic downsampling, that runs at many costs.

Kuen et al., "Stochastic Downsampling for Cost-Adjustable Inference and Improved Regularization in
Convolutional Networks", CVPR 2018 (arXiv 1801.09335).
"""

import os

# onnxruntime >= 1.29 reports usage over the network unless this is set before its first session.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
