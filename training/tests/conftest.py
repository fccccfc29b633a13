import torch

torch.set_num_threads(1)  # tiny networks: more threads only get in each other's way
