"""minitx: the code of a course on transformers, short enough to read in an afternoon.

Importing the package itself loads nothing else; import the part you need, for example
``from minitx.functional import scaled_dot_product_attention``.
"""

__version__ = "0.1.0"
