"""English as the generators write it: words, forms, patterns, and values that are made up."""
