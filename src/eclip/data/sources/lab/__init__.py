"""Any lab's own data (source `csv`): its table, and the files of annotation tools."""
