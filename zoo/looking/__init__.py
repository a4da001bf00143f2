"""Where a model looked: the record that all share, and how it is drawn."""
