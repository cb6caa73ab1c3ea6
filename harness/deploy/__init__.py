"""Trained weights in other places: pictures of one's own, folders of weights, other formats and runtimes."""
