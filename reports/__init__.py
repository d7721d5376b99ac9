"""How results are shown: everything rendered from `results.json`."""
