"""Where series come from when they are not plain files."""
