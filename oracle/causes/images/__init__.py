"""Convolutions, pools and resizing: windows, padding, strides, kernels."""
