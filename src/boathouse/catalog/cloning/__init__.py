"""Copies of tables: whole, by shared files, by sample, masked, or made up."""

from boathouse.catalog.cloning.cloner import Cloner
from boathouse.catalog.cloning.spec import Clone, CloneSpec

__all__ = ["Clone", "CloneSpec", "Cloner"]
