"""LightGBM is installed everywhere, and loads where the system has its OpenMP library."""

import ctypes
import sys

import pytest


def _loads() -> bool:
    try:
        return sys.platform != "linux" or bool(ctypes.CDLL("libgomp.so.1"))
    except OSError:
        return False


needs_lightgbm = pytest.mark.skipif(not _loads(), reason="LightGBM needs the system's OpenMP library: apt-get install libgomp1")
