"""Small trees in the real datasets' formats, one module a source; the columns are theirs, the content is made up.

Each module has `write(root)`, which makes a whole, sound tree: the documentation's commands run on it.
"""
