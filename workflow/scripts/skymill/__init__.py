"""Skymill: mills raw sky archives into data sets that a model can be trained on.

This module imports nothing: the digest of a script covers every module that it imports, and a
package that imported its parts here would put all of them into every digest.
"""

__version__ = "0.1.0"
