"""Sequences: recurrent layers, attention, positions, embeddings, masks."""
