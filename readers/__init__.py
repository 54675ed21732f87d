"""How a file's text becomes numbers: paths, dialects, tables, their cache, and the sidecars of labels and groups."""
