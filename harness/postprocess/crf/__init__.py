"""A fully connected CRF on a network's output, after Kraehenbuehl and Koltun (NIPS 2011, arXiv 1210.5644).

`mean_field` is the whole of it; around it lie the search for its parameters on val and the row of the tables.
"""
