"""The TensorRT-LLM back end."""
