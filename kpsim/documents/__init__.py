"""Text to a tree with line and column: YAML and JSON, one document or many.

JSON goes through the standard parser and is searched for places only after something was found wrong, because dumps
are large and mostly right.  YAML is composed into nodes, which know where they stand, and turned into plain data here:
no tag of YAML's can make anything but mappings, lists, text, numbers, truth values and nothing.  A large text is read
item by item, line by line where its lines are regular, and its caller may keep less of each item.

This room has no meaning: it must not know what a key stands for.  It opens no file; it takes bytes and a name.
"""

from kpsim.documents.document import Document, Early, Key, dotted
from kpsim.documents.reading import decode, load
from kpsim.documents.source import Source

__all__ = ["Document", "Early", "Key", "Source", "decode", "dotted", "load"]
