"""One file a source: tables and files of a dataset to drafts of studies."""
