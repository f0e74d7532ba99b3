"""arena: blind side-by-side comparison of local language models in the terminal."""

__version__ = "0.1.0"
