"""The llama.cpp back end, embedded through xllamacpp."""
