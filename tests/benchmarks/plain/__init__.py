"""The PyTorch baseline: SegNet, its data and its scores as people write them by hand with PyTorch.

It is the opponent of the harness in `bench_performance.py` and knows nothing of our packages: float32, NCHW,
`nn.MaxUnpool2d`, a DataLoader that decodes PNGs, scores in Python loops. Nothing in it is slower than what is
usually written.
"""
